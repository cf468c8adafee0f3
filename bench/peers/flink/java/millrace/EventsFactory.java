package millrace;

import java.util.Set;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.SourceProvider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;

/** connector 'nexmark': a bounded source that makes the events in memory; nothing is parsed. */
public class EventsFactory implements DynamicTableSourceFactory {
  static final ConfigOption<Integer> SEED = ConfigOptions.key("seed").intType().noDefaultValue();
  static final ConfigOption<Long> RATE = ConfigOptions.key("rate").longType().noDefaultValue();
  static final ConfigOption<Long> EVENTS = ConfigOptions.key("events").longType().noDefaultValue();

  public String factoryIdentifier() {
    return "nexmark";
  }

  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of(SEED, RATE, EVENTS);
  }

  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of();
  }

  public DynamicTableSource createDynamicTableSource(Context context) {
    FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
    helper.validate();
    ReadableConfig options = helper.getOptions();
    Events events = new Events(options.get(SEED), options.get(RATE));
    TypeInformation<RowData> type =
        InternalTypeInfo.of(
            context.getCatalogTable().getResolvedSchema().toPhysicalRowDataType().getLogicalType());
    return new Source(events, options.get(EVENTS), type);
  }

  record Source(Events events, long count, TypeInformation<RowData> type) implements ScanTableSource {
    public ChangelogMode getChangelogMode() {
      return ChangelogMode.insertOnly();
    }

    public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
      return SourceProvider.of(new DataGeneratorSource<>(events, count, type));
    }

    public DynamicTableSource copy() {
      return this;
    }

    public String asSummaryString() {
      return "nexmark";
    }
  }
}
