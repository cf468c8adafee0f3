package millrace;

import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.LookupTableSource;
import org.apache.flink.table.connector.source.lookup.LookupFunctionProvider;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.LookupFunction;

/** connector 'side-table': keys 0 … rows - 1, each with its number as text, looked up in memory. */
public class SideTableFactory implements DynamicTableSourceFactory {
  static final ConfigOption<Integer> ROWS = ConfigOptions.key("rows").intType().noDefaultValue();

  public String factoryIdentifier() {
    return "side-table";
  }

  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of(ROWS);
  }

  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of();
  }

  public DynamicTableSource createDynamicTableSource(Context context) {
    FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
    helper.validate();
    return new Source(helper.getOptions().get(ROWS));
  }

  record Source(int rows) implements LookupTableSource {
    public LookupRuntimeProvider getLookupRuntimeProvider(LookupContext context) {
      return LookupFunctionProvider.of(new Lookup(rows));
    }

    public DynamicTableSource copy() {
      return this;
    }

    public String asSummaryString() {
      return "side-table";
    }
  }

  public static class Lookup extends LookupFunction {
    private final int rows;
    private transient Map<Long, Collection<RowData>> table;

    Lookup(int rows) {
      this.rows = rows;
    }

    @Override
    public void open(FunctionContext context) {
      table = new HashMap<>();
      for (long key = 0; key < rows; key++)
        table.put(key, List.of(GenericRowData.of(key, StringData.fromString(Long.toString(key)))));
    }

    @Override
    public Collection<RowData> lookup(RowData key) {
      return table.getOrDefault(key.getLong(0), List.of());
    }
  }
}
