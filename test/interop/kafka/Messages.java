import java.lang.reflect.Constructor;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.util.Collection;
import java.util.Map;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.NullableSchema;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

/**
 * Prints every API of kafka-clients as JSON: the versions that are stable, the fields of each version with their types, and
 * the defaults of the data classes, all by reflection on the generated classes.
 */
public class Messages {
  static final String PACKAGE = "org.apache.kafka.common.message.";
  static final StringBuilder out = new StringBuilder();

  public static void main(String[] args) throws Exception {
    out.append("[");
    String between = "";
    for (ApiKeys api : ApiKeys.values()) {
      try {
        Class.forName(PACKAGE + api.name + "RequestData");
      } catch (ClassNotFoundException gone) {
        continue;
      }
      out.append(between).append("{\"key\":").append(api.id).append(",\"name\":\"").append(api.name).append("\"");
      out.append(",\"stable\":[").append(api.oldestVersion()).append(",").append(api.latestVersion(false)).append("]");
      between = ",\n";
      for (String side : new String[] {"Request", "Response"}) {
        out.append(",\"").append(side.toLowerCase()).append("\":");
        message(Class.forName(PACKAGE + api.name + side + "Data"));
      }
      out.append("}");
    }
    System.out.println(out.append("]"));
  }

  static void message(Class<?> data) throws Exception {
    Schema[] schemas = (Schema[]) data.getField("SCHEMAS").get(null);
    out.append("{\"versions\":{");
    String between = "";
    for (int version = 0; version < schemas.length; version++) {
      if (schemas[version] == null) continue;
      out.append(between).append("\"").append(version).append("\":");
      between = ",";
      type(schemas[version]);
    }
    out.append("},\"defaults\":");
    defaults(data);
    out.append("}");
  }

  static void type(Type type) {
    if (type instanceof Schema schema) {
      out.append("{\"struct\":[");
      String between = "";
      for (BoundField field : schema.fields()) {
        out.append(between);
        between = ",";
        if (field.def.type instanceof TaggedFields tagged) tagged(tagged);
        else named(field.def);
      }
      out.append("],\"nullable\":").append(type instanceof NullableSchema).append("}");
    } else if (type.isArray()) {
      out.append("{\"array\":");
      type(type.arrayElementType().get());
      out.append(",\"nullable\":").append(type.isNullable());
      out.append(",\"compact\":").append(type.getClass().getSimpleName().startsWith("Compact")).append("}");
    } else {
      out.append("\"").append(type).append("\"");
    }
  }

  static void named(Field field) {
    out.append("{\"name\":\"").append(camel(field.name)).append("\",\"type\":");
    type(field.type);
    out.append("}");
  }

  static void tagged(TaggedFields tagged) {
    out.append("{\"tagged\":{");
    String between = "";
    for (Map.Entry<Integer, Field> entry : tagged.fields().entrySet()) {
      out.append(between).append("\"").append(entry.getKey()).append("\":");
      between = ",";
      named(entry.getValue());
    }
    out.append("}}");
  }

  /** snake_case, as schemas have it, to the camelCase of the data classes. */
  static String camel(String name) {
    StringBuilder result = new StringBuilder();
    boolean up = false;
    for (char c : name.toCharArray()) {
      if (c != '_') result.append(up ? Character.toUpperCase(c) : c);
      up = c == '_';
    }
    return result.toString();
  }

  static void defaults(Class<?> data) throws Exception {
    Constructor<?> constructor = data.getDeclaredConstructor();
    constructor.setAccessible(true);
    Object fresh = constructor.newInstance();
    out.append("{");
    String between = "";
    for (java.lang.reflect.Field field : data.getDeclaredFields()) {
      String name = field.getName();
      boolean own = name.startsWith("_") || name.equals("next") || name.equals("prev");
      if (own || Modifier.isStatic(field.getModifiers())) continue;
      field.setAccessible(true);
      out.append(between).append("\"").append(name).append("\":");
      between = ",";
      value(field, field.get(fresh));
    }
    out.append("}");
  }

  static void value(java.lang.reflect.Field field, Object value) throws Exception {
    Class<?> item = itemOf(field, value);
    if (item != null) {
      out.append("{\"items\":");
      defaults(item);
      out.append("}");
    } else if (value == null || value instanceof Number || value instanceof Boolean) out.append(value);
    else if (value instanceof Collection<?>) out.append("[]");
    else if (value instanceof byte[]) out.append("\"\"");
    else if (value.getClass().getName().startsWith(PACKAGE)) defaults(value.getClass());
    else out.append("\"").append(value).append("\"");
  }

  /** The class of an array's structs; null where it is no such array, or null by default. */
  static Class<?> itemOf(java.lang.reflect.Field field, Object value) throws Exception {
    if (!(value instanceof Collection<?>)) return null;
    if (field.getGenericType() instanceof ParameterizedType list
        && list.getActualTypeArguments()[0] instanceof Class<?> item
        && item.getName().startsWith(PACKAGE)) return item;
    String name = field.getType().getName();
    return name.contains("$") ? Class.forName(name.replaceAll("Collection$", "")) : null;
  }
}
