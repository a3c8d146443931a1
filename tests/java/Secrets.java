import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Holds secrets wherever a program can hold any. They come as arguments, by a system property and from the environment, so
 * that none is in a class file; their places are in tests/jvms/redact.rs. Prints "READY pid" and then sits still.
 */
public class Secrets {
    static final class Account {
        final String password;
        final char[] pin;
        final int number;
        final long card;
        final double balance;

        Account(String password, char[] pin, int number, long card, double balance) {
            this.password = password;
            this.pin = pin;
            this.number = number;
            this.card = card;
            this.balance = balance;
        }
    }

    /** Its name is asked for with --keep. */
    static final class Config {
        int port = 0x0f0e0d0c;
        static long epoch = 0x0102030405060708L;
    }

    static String text;
    static int number;
    static long card;
    static Account account;
    static Object[] held;
    static final Map<String, Object> MAP = new HashMap<>();
    static final ThreadLocal<String> LOCAL = new ThreadLocal<>();
    static Config config = new Config();

    public static void main(String[] args) throws Exception {
        String latin1 = args[0], base = args[1], chars = args[2], bytes = args[3];
        number = Integer.parseInt(args[4]);
        card = Long.parseLong(args[5]);
        text = new StringBuilder(latin1).append("/static").toString();
        // Two bytes for each character, and a pair of surrogates.
        String wide = base + "\u4e16\u754c" + new String(Character.toChars(0x1f511));
        account = new Account(wide, chars.toCharArray(), number, card, Double.longBitsToDouble(card));
        ByteArrayOutputStream buffer = new ByteArrayOutputStream();
        DataOutputStream data = new DataOutputStream(buffer);
        data.writeUTF(wide);
        data.writeInt(number);
        data.writeLong(card);
        // Beyond what goes through a buffer: a secret in the middle, and one across 256 KB.
        char[] large = new char[1 << 20];
        latin1.getChars(0, latin1.length(), large, 700_001);
        byte[] many = new byte[3 << 20];
        byte[] raw = bytes.getBytes("ISO-8859-1");
        System.arraycopy(raw, 0, many, (256 << 10) - 5, raw.length);
        System.arraycopy(raw, 0, many, many.length - raw.length, raw.length);
        int[] numbers = new int[1 << 19];
        numbers[400_000] = number;
        held = new Object[] {
            raw, bytes.getBytes("UTF-16BE"), bytes.getBytes("UTF-16LE"), wide.getBytes("UTF-8"), buffer.toByteArray(),
            new StringBuilder(bytes), latin1.codePoints().toArray(), large, many, numbers, new long[] {1, card},
            new int[] {number}, Integer.valueOf(number), Long.valueOf(card), Float.valueOf(Float.intBitsToFloat(number)),
            new IllegalStateException(latin1 + " is wrong"), new String(latin1), new StringBuilder(latin1).toString(),
            System.getenv(), System.getProperties(), new short[] {(short) number, (short) (number >> 16)},
        };
        MAP.put(latin1, card);
        MAP.put(wide, new ConcurrentHashMap<>(Collections.singletonMap(chars, number)));
        MAP.hashCode();
        Thread kept = new Thread(() -> sit(latin1, number), "a-thread-by-name");
        kept.setDaemon(true);
        kept.start();
        hold(latin1 + "/local", number, card);
    }

    /** Compiled by no one: its locals lie in an interpreted frame. */
    static void hold(String local, int n, long c) throws Exception {
        LOCAL.set(local + "/thread");
        long pid = Long.parseLong(new java.io.File("/proc/self").getCanonicalFile().getName());
        System.out.println("READY " + pid);
        synchronized (LOCAL) {
            System.in.read();
        }
        System.out.println(local + n + c);
    }

    static void sit(String text, int n) {
        try {
            Thread.sleep(1_000_000_000);
        } catch (InterruptedException e) {
            System.out.println(text + n);
        }
    }
}
