import java.util.ArrayList;
import java.util.List;

/** Fills the heap until there is no more. With an argument it survives that, says READY and stands still. */
public class Exhausted {
    static final List<Object> ALL = new ArrayList<>();
    static OutOfMemoryError met;

    public static void main(String[] args) throws Exception {
        boolean survives = args.length > 0;
        Thread filler = new Thread(() -> fill(survives), "filler");
        filler.start();
        filler.join();
        System.out.println("READY .");
        System.in.read();
    }

    static void fill(boolean survives) {
        try {
            while (true) ALL.add(new long[10_000]);
        } catch (OutOfMemoryError e) {
            if (!survives) throw e;
            ALL.clear();
            met = e;
        }
    }
}
