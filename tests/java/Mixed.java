/** A process with memory of all kinds, for the benchmarks: `Mixed HEAP_MB MALLOC_MB DIRECT_MB`; prints "READY pid" and sits still. */
public class Mixed {
    public static void main(String[] args) throws Exception {
        long heap = Long.parseLong(args[0]) << 20;
        for (int round = 0; BigHeap.used() < heap; round++) {
            BigHeap.small(round);
        }
        Guilty.grow("malloc", Long.parseLong(args[1]) << 20);
        Guilty.grow("direct", Long.parseLong(args[2]) << 20);
        System.out.println("READY " + ProcessHandle.current().pid());
        System.in.read();
    }
}
