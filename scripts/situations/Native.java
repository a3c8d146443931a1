/** Objects that only native code holds, by native.c: see there. */
class Native {
    static void run(String library) throws Exception {
        System.load(library);
        Thread t = new Thread(Native::hold, "holds");
        t.setDaemon(true);
        t.start();
        attach();
        for (int i = 0; i < 2; i++) synchronized (Native.class) { while (resting <= i) Native.class.wait(); }
        System.gc();
    }

    static int resting;

    /** Called by native code, which holds int arrays in local references meanwhile. */
    static void rest() throws Exception {
        synchronized (Native.class) {
            resting++;
            Native.class.notifyAll();
        }
        for (;;) Thread.sleep(100_000);
    }

    static native void hold();
    static native void attach();
}
