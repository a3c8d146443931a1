import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * "Malloc FILE": takes memory by malloc in several threads, frees every second piece, has glibc write its own figures
 * (malloc_info) to FILE, and sits still. To FILE.more go lines "mapped ADDRESS", where pieces lie that are too large for an
 * arena, and "NAME VALUE" of mallinfo2. Prints "READY pid". For JDK 22 and later: java.lang.foreign.
 */
public class Malloc {
    static final Linker LINKER = Linker.nativeLinker();
    static final String[] FIELDS = {
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
    };
    static final int THREADS = 3;

    static MethodHandle handle(String name, FunctionDescriptor type) {
        return LINKER.downcallHandle(LINKER.defaultLookup().find(name).orElseThrow(), type);
    }

    /** Sizes of all classes: those that threads' caches and fastbins take, and larger ones. */
    static void take(MethodHandle malloc, MethodHandle free, int thread) throws Throwable {
        long[] taken = new long[6000];
        for (int i = 0; i < taken.length; i++) {
            long size = i % 3 == 0 ? 24 + i % 100 : i % 3 == 1 ? 200 + i % 1500 : 2000 + (i * 7) % 60_000;
            taken[i] = (long) malloc.invokeExact(size + thread);
        }
        for (int i = 0; i < taken.length; i += 2) free.invokeExact(taken[i]);
    }

    public static void main(String[] args) throws Throwable {
        MethodHandle malloc = handle("malloc", FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
        MethodHandle free = handle("free", FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG));
        MethodHandle fopen =
                handle("fopen", FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.ADDRESS, ValueLayout.ADDRESS));
        MethodHandle fclose = handle("fclose", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG));
        MethodHandle info = handle(
                "malloc_info",
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG));
        var figures = MemoryLayout.sequenceLayout(FIELDS.length, ValueLayout.JAVA_LONG);
        // By value, as mallinfo2 has it.
        var struct = MemoryLayout.structLayout(figures.withName("all"));
        MethodHandle mallinfo = handle("mallinfo2", FunctionDescriptor.of(struct));

        Thread[] threads = new Thread[THREADS];
        for (int i = 0; i < THREADS; i++) {
            int thread = i;
            threads[i] = new Thread(() -> {
                try {
                    take(malloc, free, thread);
                    // It stays, and with it its arena and its cache.
                    Thread.sleep(Long.MAX_VALUE);
                } catch (Throwable e) {
                    throw new AssertionError(e);
                }
            }, "taker " + i);
            threads[i].setDaemon(true);
            threads[i].start();
        }
        StringBuilder more = new StringBuilder();
        for (long size : new long[] {40L << 20, 50L << 20}) {
            more.append("mapped ").append((long) malloc.invokeExact(size)).append('\n');
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment path = arena.allocateFrom(args[0] + ".part");
            MemorySegment mode = arena.allocateFrom("w");
            // All is called once before, so that what the calls themselves take is there.
            for (int round = 0; round < 3; round++) {
                Thread.sleep(1500);
                long file = (long) fopen.invokeExact(path, mode);
                if ((int) info.invokeExact(0, file) != 0) throw new AssertionError("malloc_info");
                MemorySegment said = (MemorySegment) mallinfo.invokeExact((java.lang.foreign.SegmentAllocator) arena);
                if ((int) fclose.invokeExact(file) != 0) throw new AssertionError("fclose");
                if (round < 2) continue;
                for (int i = 0; i < FIELDS.length; i++) {
                    long value = said.getAtIndex(ValueLayout.JAVA_LONG, i);
                    more.append(FIELDS[i]).append(' ').append(value).append('\n');
                }
            }
        }
        Files.writeString(Path.of(args[0] + ".more"), more);
        Files.move(Path.of(args[0] + ".part"), Path.of(args[0]));
        System.out.println("READY " + ProcessHandle.current().pid());
        System.out.flush();
        while (System.in.read() >= 0) {}
    }
}
