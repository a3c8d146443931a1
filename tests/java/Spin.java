import java.util.zip.Deflater;

/**
 * A JVM that hangs: a thread runs where no safepoint can stop it, and another one waits for a collection that cannot
 * start before. "Spin native": in native code that packs a large array, which no collection may move. "Spin java": in a counted loop
 * without a safepoint (which needs -XX:LoopStripMiningIter=0). Prints "READY pid".
 */
public class Spin {
    static long sum;

    static void numbers() {
        long s = sum;
        for (int i = 0; i < Integer.MAX_VALUE; i++) s = s * 31 + (i ^ s >>> 5);
        sum += s;
    }

    static void bytes(byte[] bytes, byte[] packed) {
        Deflater deflater = new Deflater(9);
        deflater.setInput(bytes);
        deflater.finish();
        sum += deflater.deflate(packed);
        deflater.end();
    }

    public static void main(String[] args) throws Exception {
        byte[] bytes = new byte[args[0].equals("native") ? 16 << 20 : 1], packed = new byte[bytes.length];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) (i * i % 77);
        Thread spins = new Thread(() -> {
            while (true) {
                if (args[0].equals("native")) bytes(bytes, packed);
                else numbers();
            }
        }, "spins");
        spins.setDaemon(true);
        spins.start();
        Thread collects = new Thread(() -> {
            while (true) System.gc();
        }, "collects");
        collects.setDaemon(true);
        // The loop must be compiled by then; READY comes before the JVM hangs.
        Thread.sleep(300);
        System.out.println("READY " + ProcessHandle.current().pid());
        System.out.flush();
        collects.start();
        while (System.in.read() >= 0) {}
    }
}
