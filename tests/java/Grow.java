import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A heap that grows for a while, and shrinks: 170 long[131070], a megabyte each, every MILLISECONDS one, and then from
 * the start again. All elements of an array have one value.
 *
 * Grow MILLISECONDS
 */
public class Grow {
    static volatile Object kept;

    public static void main(String[] args) throws Exception {
        int milliseconds = Integer.parseInt(args[0]);
        Thread grows = new Thread(() -> {
            for (long n = 1;;) {
                List<long[]> arrays = new ArrayList<>();
                kept = arrays;
                for (int i = 0; i < 170; i++, n++) {
                    long[] next = new long[131070];
                    Arrays.fill(next, n);
                    arrays.add(next);
                    try {
                        Thread.sleep(milliseconds);
                    } catch (InterruptedException e) {
                        return;
                    }
                }
                kept = null;
                arrays = null;
                System.gc();
            }
        });
        grows.setDaemon(true);
        grows.start();
        System.out.println("READY now");
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
