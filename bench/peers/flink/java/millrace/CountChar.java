package millrace;

import org.apache.flink.table.functions.ScalarFunction;

/** How often a character occurs in a text. */
public class CountChar extends ScalarFunction {
  public long eval(String text, String character) {
    long count = 0;
    if (text != null)
      for (int i = 0; i < text.length(); i++) if (text.charAt(i) == character.charAt(0)) count++;
    return count;
  }
}
