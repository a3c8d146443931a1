import jdk.internal.value.ValueClass;

/**
 * Value objects that lie flat in others (JEP 401): in fields and arrays, null and not, one in the other.
 *
 * Compiled and run with --enable-preview by the newest JDK that has it. Prints "READY pid" and waits for the end of
 * its input.
 */
public class Values {
    value record Small(int number) {}

    value record Tiny(byte first, short second) {}

    /** Small fits into this with its null marker. */
    value record Nested(Tiny tiny, byte more) {}

    value record Deep(Nested nested) {}

    /** A reference that only this flat object holds. */
    value record Named(Object held) {}

    value record Wide(long first, long second, Object held, Tiny tiny) {}

    static class Holder {
        Small small = new Small(0x1234_5678);
        Small none = null;
        byte between = 7;
        Tiny tiny = new Tiny((byte) -1, (short) -2);
        Nested nested = new Nested(new Tiny((byte) 1, (short) 2), (byte) 3);
        Nested hollow = new Nested(null, (byte) 4);
        Deep deep = new Deep(new Nested(new Tiny((byte) 5, (short) 6), (byte) 7));
        Named named = new Named("only a flat object has this");
        Wide wide = new Wide(-1, 2, "and this", new Tiny((byte) 8, (short) 9));
        Integer integer = 42;
        Boolean yes = true;
        Character character = null;
        Object object = new Small(99);
    }

    static class Child extends Holder {
        Small own = new Small(-5);
        double last = Double.NaN;
    }

    static final Object[] KEPT = new Object[20];

    public static void main(String[] args) throws Exception {
        int n = 0;
        KEPT[n++] = new Holder();
        KEPT[n++] = new Child();
        Small[] small = new Small[10];
        for (int i = 0; i < small.length; i += 2) small[i] = new Small(i * 1000);
        KEPT[n++] = small;
        Nested[] nested = new Nested[6];
        nested[1] = new Nested(null, (byte) 11);
        nested[4] = new Nested(new Tiny((byte) 12, (short) 13), (byte) 14);
        KEPT[n++] = nested;
        Named[] named = new Named[3];
        named[2] = new Named("only a flat element has this");
        KEPT[n++] = named;
        Integer[] integers = new Integer[17];
        for (int i = 0; i < 11; i++) integers[i] = i - 5;
        KEPT[n++] = integers;
        KEPT[n++] = new Small[0];
        // Without null markers.
        Object[] wide = ValueClass.newNullRestrictedNonAtomicArray(Wide.class, 5, new Wide(3, 4, null, null));
        wide[1] = new Wide(5, 6, "an element of an array without nulls", new Tiny((byte) 15, (short) 16));
        KEPT[n++] = wide;
        Object[] atomic = ValueClass.newNullRestrictedAtomicArray(Small.class, 4, new Small(1));
        KEPT[n++] = atomic;
        // Larger than what a dump makes in one piece: 1.2 MB each, of which every third is null.
        Integer[] many = new Integer[150_000];
        Nested[] manyNested = new Nested[150_000];
        for (int i = 0; i < many.length; i++) {
            if (i % 3 == 0) continue;
            many[i] = i;
            manyNested[i] = new Nested(i % 5 == 0 ? null : new Tiny((byte) i, (short) i), (byte) i);
        }
        KEPT[n++] = many;
        KEPT[n++] = manyNested;
        System.gc();
        System.out.println("READY " + ProcessHandle.current().pid());
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
