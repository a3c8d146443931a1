import java.util.*;

/**
 * Heaps of one shape each, for the benchmarks of who holds whom: Shapes list|double|map|tree|mesh|ladder COUNT.
 * "list" is linked once, "double" both ways, "map" a HashMap of Integers, "tree" a binary tree, "mesh" nodes with eight
 * references at random, "ladder" two chains with rungs. Prints "READY pid" and then sits still.
 */
public class Shapes {
    static class Link {
        Link next;
    }

    static class Both {
        Both next, last;
    }

    static class Tree {
        Tree left, right;
    }

    static class Mesh {
        final Mesh[] to = new Mesh[8];
    }

    static class Rung {
        Rung next, beside;
    }

    static Object keep;

    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[1]);
        switch (args[0]) {
            case "list": keep = list(count); break;
            case "double": keep = both(count); break;
            case "map": keep = map(count); break;
            case "tree": keep = tree(count); break;
            case "mesh": keep = mesh(count); break;
            case "ladder": keep = ladder(count); break;
            default: throw new IllegalArgumentException(args[0]);
        }
        // What is garbage refers to objects as well, and some analysers count that.
        System.gc();
        System.out.println("READY " + ProcessHandle.current().pid());
        System.in.read();
    }

    static Link list(int count) {
        Link head = null;
        for (int i = 0; i < count; i++) {
            Link link = new Link();
            link.next = head;
            head = link;
        }
        return head;
    }

    static Both both(int count) {
        Both head = new Both();
        for (int i = 1; i < count; i++) {
            Both both = new Both();
            both.next = head;
            head.last = both;
            head = both;
        }
        return head;
    }

    static Map<Integer, Integer> map(int count) {
        Map<Integer, Integer> map = new HashMap<>();
        for (int i = 0; i < count; i++) map.put(i * 7, i + 1_000_000);
        return map;
    }

    /** In the order of a heap: node i has the children 2 i + 1 and 2 i + 2. */
    static Tree tree(int count) {
        Tree[] all = new Tree[count];
        for (int i = count - 1; i >= 0; i--) {
            all[i] = new Tree();
            if (2 * i + 1 < count) all[i].left = all[2 * i + 1];
            if (2 * i + 2 < count) all[i].right = all[2 * i + 2];
        }
        return all[0];
    }

    static Mesh[] mesh(int count) {
        Random random = new Random(1);
        Mesh[] all = new Mesh[count];
        for (int i = 0; i < count; i++) all[i] = new Mesh();
        for (Mesh mesh : all) {
            for (int i = 0; i < 8; i++) mesh.to[i] = all[random.nextInt(count)];
        }
        return new Mesh[] {all[0], all[1]};
    }

    static Rung ladder(int count) {
        Rung left = new Rung(), right = new Rung(), first = left;
        left.beside = right;
        for (int i = 1; i < count; i++) {
            left = left.next = new Rung();
            right = right.next = new Rung();
            left.beside = right;
            right.beside = left;
        }
        return first;
    }
}
