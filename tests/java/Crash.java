/** Dies of a store to address 8, in a thread of its own. */
public class Crash {
    public static void main(String[] args) throws Exception {
        var field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        var unsafe = (sun.misc.Unsafe) field.get(null);
        Thread thread = new Thread(() -> unsafe.putAddress(8, 1), "crasher");
        thread.start();
        thread.join();
    }
}
