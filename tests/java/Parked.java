import java.lang.reflect.Method;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;

/**
 * "Parked N": N virtual threads that are parked a few frames deep, on two kinds of stacks. Prints "READY pid".
 * By reflection: the class is compiled for JDKs that have none.
 */
public class Parked {
    static final Semaphore READY = new Semaphore(0);

    static int deep(int n, Object held) {
        if (n > 0) return deep(n - 1, held) + 1;
        READY.release();
        while (true) LockSupport.park(held);
    }

    public static void main(String[] args) throws Exception {
        int n = Integer.parseInt(args[0]);
        Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
        for (int i = 0; i < n; i++) {
            int depth = i % 4 == 0 ? 8 : 3;
            start.invoke(null, (Runnable) () -> deep(depth, new Object()));
        }
        READY.acquire(n);
        Thread.sleep(500);
        System.out.println("READY " + ProcessHandle.current().pid());
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
