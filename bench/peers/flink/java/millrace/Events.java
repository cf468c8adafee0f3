package millrace;

import static org.apache.flink.table.data.StringData.fromString;

import java.nio.charset.StandardCharsets;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** The events of bench/nexmark/generate.ts, in order: event i is a function of the seed and i alone. */
public class Events implements GeneratorFunction<Long, RowData> {
  private static final long BASE_MS = 1436918400000L;
  private static final int POOL = 1 << 20;
  private static final int CHANNELS = 10000;
  private static final String LETTERS = "abcdefghijklmnopqrstuvwxyz";
  private static final byte[][] HOT_CHANNELS = texts("Google,Facebook,Baidu,Apple");
  private static final byte[][] STATES = texts("AZ,CA,ID,OR,WA,WY");
  private static final byte[][] CITIES =
      texts("Phoenix,Los Angeles,San Francisco,Boise,Portland,Bend,Redmond,Seattle,Kent,Cheyenne");
  private static final String[] FIRST_NAMES =
      "Peter,Paul,Luke,John,Saul,Vicky,Kate,Julie,Sarah,Deiter,Walter".split(",");
  private static final String[] LAST_NAMES =
      "Shultz,Abrams,Spencer,White,Bartels,Walton,Smith,Jones,Noris".split(",");

  private final int seed;
  private final long rate;
  private int state;
  private transient byte[] pool;
  private transient byte[][] hotUrls, channels, urls;

  Events(int seed, long rate) {
    this.seed = seed;
    this.rate = rate;
  }

  public RowData map(Long index) {
    if (pool == null) open();
    long n = index;
    begin(n);
    long kind = n % 50;
    return kind < 1 ? person(n) : kind < 4 ? auction(n) : bid(n);
  }

  private void open() {
    begin(-1);
    pool = new byte[POOL];
    for (int i = 0; i < POOL; i++) pool[i] = (byte) LETTERS.charAt(below(26));
    begin(-2);
    hotUrls = new byte[HOT_CHANNELS.length][];
    for (int i = 0; i < hotUrls.length; i++) hotUrls[i] = bytes(url());
    channels = new byte[CHANNELS][];
    urls = new byte[CHANNELS][];
    for (int i = 0; i < CHANNELS; i++) {
      String url = url();
      if (below(10) > 0) url += "&channel_id=" + Math.abs((long) Integer.reverse(i));
      channels[i] = bytes("channel-" + i);
      urls[i] = bytes(url);
    }
  }

  private RowData person(long n) {
    String name = FIRST_NAMES[below(11)] + " " + LAST_NAMES[below(9)];
    String email = text(7, ' ') + "@" + text(5, ' ') + ".com";
    String card = "";
    for (int k = 0; k < 4; k++) card += (k > 0 ? " " : "") + String.valueOf(10000 + below(10000)).substring(1);
    byte[] city = CITIES[below(10)], state = STATES[below(6)];
    int size = 8 + name.length() + email.length() + card.length() + city.length + state.length;
    BinaryStringData extra = extra(size, 200);
    return event(0, GenericRowData.of(lastPerson(n) + 1000, fromString(name), fromString(email),
        fromString(card), shared(city), shared(state), at(timeOf(n)), extra));
  }

  private RowData auction(long n) {
    long timeMs = timeOf(n);
    long id = lastAuction(n) + 1000;
    long seller = (below(4) > 0 ? lastPerson(n) / 100 * 100 : nextPerson(n)) + 1000;
    long category = 10 + below(5), initialBid = price(), horizonMs = timeOf(n + 1666) - timeMs;
    long expires = timeMs + 1 + below(Math.max(horizonMs * 2, 1));
    String name = text(20, ' '), description = text(100, ' ');
    long reserve = initialBid + price();
    BinaryStringData extra = extra(8 + name.length() + description.length() + 40, 500);
    return event(1, GenericRowData.of(id, fromString(name), fromString(description), initialBid, reserve,
        at(timeMs), at(expires), seller, category, extra));
  }

  private RowData bid(long n) {
    long auction = (below(2) > 0 ? lastAuction(n) / 100 * 100 : nextAuction(n)) + 1000;
    long bidder = (below(4) > 0 ? lastPerson(n) / 100 * 100 + 1 : nextPerson(n)) + 1000;
    long price = price();
    boolean hot = below(2) > 0;
    int k = below(hot ? HOT_CHANNELS.length : CHANNELS);
    byte[] channel = hot ? HOT_CHANNELS[k] : channels[k], url = hot ? hotUrls[k] : urls[k];
    BinaryStringData extra = extra(32, 100);
    return event(2, GenericRowData.of(auction, bidder, price, shared(channel), shared(url), at(timeOf(n)), extra));
  }

  private static RowData event(int type, RowData of) {
    GenericRowData row = new GenericRowData(4);
    row.setField(0, type);
    row.setField(1 + type, of);
    return row;
  }

  // Random numbers: mulberry32 over a state that is hashed from the seed and the number of a stream.

  private void begin(long stream) {
    state = mixed(seed ^ mixed((int) (stream + 0x9e3779b9L)));
  }

  private long uint32() {
    state += 0x6D2B79F5;
    int z = (state ^ (state >>> 15)) * (1 | state);
    z = (z + ((z ^ (z >>> 7)) * (61 | z))) ^ z;
    return (z ^ (z >>> 14)) & 0xffffffffL;
  }

  private int below(long limit) {
    return (int) ((uint32() * limit) >>> 32);
  }

  private static int mixed(int hash) {
    int h = hash ^ (hash >>> 16);
    h *= 0x85ebca6b;
    h ^= h >>> 13;
    h *= 0xc2b2ae35;
    return h ^ (h >>> 16);
  }

  private long price() {
    return Math.round(Math.pow(10, (uint32() / 4294967296.0) * 6) * 100);
  }

  private String text(int most, char special) {
    StringBuilder text = new StringBuilder();
    for (int left = 3 + below(most - 3); left > 0; left--)
      text.append(below(13) == 0 ? special : LETTERS.charAt(below(26)));
    return text.toString().trim();
  }

  private String url() {
    return "https://www.nexmark.com/" + text(5, '_') + '/' + text(5, '_') + '/' + text(5, '_') + "/item.htm?query=1";
  }

  private BinaryStringData extra(int size, int average) {
    if (size > average) return BinaryStringData.EMPTY_UTF8;
    int wanted = average - size, spread = (int) Math.round(wanted * 0.2);
    int length = wanted - spread + (spread == 0 ? 0 : below(2L * spread));
    return BinaryStringData.fromBytes(pool, below(POOL - length), length);
  }

  // Numbers and times.

  private static long lastPerson(long n) {
    return n / 50;
  }

  private static long lastAuction(long n) {
    long epoch = n / 50, place = n % 50;
    return place < 1 ? (epoch - 1) * 3 + 2 : epoch * 3 + Math.min(place, 3) - 1;
  }

  private long nextPerson(long n) {
    long count = lastPerson(n) + 1, active = Math.min(count, 1000);
    return count - active + below(active + 10);
  }

  private long nextAuction(long n) {
    long last = lastAuction(n), least = Math.max(last - 100, 0);
    return least + below(last - least + 11);
  }

  private long timeOf(long n) {
    return BASE_MS + (long) (n * (1000000.0 / rate)) / 1000;
  }

  private static TimestampData at(long ms) {
    return TimestampData.fromEpochMillis(ms);
  }

  private static BinaryStringData shared(byte[] text) {
    return BinaryStringData.fromBytes(text);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  private static byte[][] texts(String list) {
    String[] parts = list.split(",");
    byte[][] all = new byte[parts.length][];
    for (int i = 0; i < parts.length; i++) all[i] = bytes(parts[i]);
    return all;
  }
}
