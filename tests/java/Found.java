import java.io.File;
import java.lang.ref.WeakReference;
import java.util.*;

/**
 * A thousand objects whose fields are functions of their number, for tests that find them again. Prints "READY pid" and
 * then sits still.
 */
public class Found {
    static class Base {
        final int id;
        Base owner;

        Base(int id) {
            this.id = id;
        }
    }

    static class Leaf extends Base {
        boolean flag;
        char letter;
        byte b;
        short s;
        long l;
        float f;
        double d;
        String name;
        Integer boxed;
        int[] load;

        Leaf(int id) {
            super(id);
            flag = id % 2 == 0;
            letter = (char) ('a' + id % 26);
            b = (byte) id;
            s = (short) -id;
            l = id * 1_000_000_007L;
            f = id / 2f;
            d = -id / 4.0;
            // Texts of one byte a character and of two.
            if (id % 3 != 0) name = (id % 5 == 0 ? "\u8449 " : "leaf ") + id;
            boxed = id;
            if (id % 100 == 0) load = new int[5000 + id];
        }
    }

    interface Tagged {}

    interface Marked extends Tagged {}

    /** Its own field hides its super's. */
    static class Other extends Base implements Marked {
        final String id;

        Other(int id) {
            super(-1);
            this.id = "other " + id;
        }
    }

    static class More extends Other {
        More(int id) {
            super(id);
        }
    }

    static final Leaf[] LEAVES = new Leaf[1000];
    static final Object[] OTHERS = new Object[10];
    static final List<WeakReference<Object>> WEAK = new ArrayList<>();
    static final Map<String, Integer> MAP = new HashMap<>();

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < LEAVES.length; i++) {
            LEAVES[i] = new Leaf(i);
            LEAVES[i].owner = LEAVES[i / 10];
        }
        for (int i = 0; i < OTHERS.length; i++) {
            Other other = i < 4 ? new More(i) : new Other(i);
            OTHERS[i] = i < 7 ? other : null;
            WEAK.add(new WeakReference<>(other));
        }
        for (int i = 0; i < 321; i++) MAP.put("key " + i, i);
        System.out.println("READY " + new File("/proc/self").getCanonicalFile().getName());
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
