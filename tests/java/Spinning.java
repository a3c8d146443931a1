import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.function.LongBinaryOperator;

/**
 * Threads that never stop running Java code, each of another kind; all are named "Spin ..." and have the frames
 * Spinning.NAME, Spinning$1.run and Thread.run at their bottom. Methods whose name ends with "Interpreted" are to
 * be excluded from compilation. Prints "READY pid".
 */
public class Spinning {
    static volatile long sink;

    interface Body { void run(); }

    static void start(String name, Body body) {
        Thread t = new Thread("Spin " + name) {
            @Override public void run() { body.run(); }
        };
        t.setDaemon(true);
        t.start();
    }

    static long mix(long x, long i) { return x * 6364136223846793005L + (i ^ (i >>> 7)); }

    static void loops() {
        long x = 1;
        while (true) { for (int i = 0; i < 100_000; i++) x = mix(x, i); sink = x; }
    }

    static void loopsInterpreted() {
        long x = 1;
        while (true) { for (int i = 0; i < 1000; i++) x = stepInterpreted(x, i); sink = x; }
    }
    static long stepInterpreted(long x, int i) { return i % 3 == 0 ? Math.max(x, i) + mix(x, i) : x ^ i; }

    static long fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
    static void recursion() { while (true) sink = fib(24); }

    static void maths() {
        double d = 1;
        while (true) { d = Math.sin(d) + Math.pow(d, 0.3) + Math.log(d + 2) + Math.exp(-d); sink = (long) (d * 1e9); }
    }

    static void mathsInterpreted() {
        double d = 1;
        while (true) { d = Math.cos(d) + Math.tan(d / 3) + Math.log10(d * d + 2) + Math.sqrt(d * d); sink = (long) d; }
    }

    static void copies() {
        byte[] a = new byte[1 << 14], b = new byte[1 << 14];
        char[] c = new char[500];
        while (true) {
            System.arraycopy(a, 1, b, 0, 16_000);
            System.arraycopy(b, 0, b, 3, 9_000);
            Arrays.fill(c, (char) sink);
            sink += new String(c).hashCode() + (Arrays.equals(a, b) ? 1 : 0);
        }
    }

    static void allocates() {
        HashMap<Object, Object> map = new HashMap<>();
        while (true) {
            ArrayList<Object> list = new ArrayList<>();
            for (int i = 0; i < 200; i++) { list.add("n" + i + sink); map.put(i, list); }
            sink += list.toString().length() + map.size();
        }
    }

    static void calls() {
        LongBinaryOperator[] all = {Long::sum, Math::max, (a, b) -> a ^ b, (a, b) -> a - b, Spinning::mix};
        long x = 0;
        while (true) { for (int i = 0; i < 1000; i++) x = all[i % all.length].applyAsLong(x, i); sink = x; }
    }

    static final Object LOCK = new Object();
    static void locks() {
        while (true) {
            synchronized (LOCK) { sink++; }
            try { fails((int) sink & 3); } catch (IllegalStateException e) { sink += 2; }
        }
    }
    static void fails(int n) { if (n == 0) throw new IllegalStateException(); sink += System.nanoTime() & 1; }

    public static void main(String[] args) throws Exception {
        start("loops", () -> loops());
        start("loopsInterpreted", () -> loopsInterpreted());
        start("recursion", () -> recursion());
        start("maths", () -> maths());
        start("mathsInterpreted", () -> mathsInterpreted());
        start("copies", () -> copies());
        start("allocates", () -> allocates());
        start("calls", () -> calls());
        start("locks", () -> locks());
        Thread.sleep(2500);
        System.out.println("READY " + ProcessHandle.current().pid());
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
