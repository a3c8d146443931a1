/**
 * Writes one number after the other over a large array, again and again: at any instant the array holds a
 * number up to some place and the one before it from there on. A copy that is not of one instant does not.
 * Prints "READY pid"; ends at the end of its input.
 */
public class Epoch {
    static final long MAGIC1 = 0x7261_6a63_6f72_6531L, MAGIC2 = 0x6570_6f63_6820_6f6eL;

    public static void main(String[] args) throws Exception {
        long[] numbers = new long[(Integer.parseInt(args[0]) << 20) / 8];
        Thread writer = new Thread(() -> {
            for (long n = 1; ; n++) {
                for (int i = 2; i < numbers.length; i++) numbers[i] = n;
                if (n == 3) {
                    // Only now, so that what is found is this array and not this class's constants.
                    numbers[1] = MAGIC2;
                    numbers[0] = MAGIC1;
                }
            }
        });
        writer.setDaemon(true);
        writer.start();
        while (numbers[0] == 0) Thread.sleep(10);
        System.out.println("READY " + ProcessHandle.current().pid());
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
