/** A thread that runs into the end of its stack again and again. Prints "READY pid" and waits for the end of its input. */
public class Overflows {
    static int depth(int n) {
        return depth(n + 1) + 1;
    }

    static void overflowing() {
        while (true) {
            try {
                depth(0);
            } catch (StackOverflowError e) {
                // Again.
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Thread t = new Thread(Overflows::overflowing, "overflowing");
        t.setDaemon(true);
        t.start();
        System.out.println("READY " + ProcessHandle.current().pid());
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
