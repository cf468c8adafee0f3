package millrace;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runner REST_PORT: reads paths of SQL scripts from standard input, a line each, and runs them one after the other on the
 * cluster. Says "DONE job-id" when the INSERT of a script has ended, "FAIL why" otherwise. Statements end with a semicolon
 * at the end of a line; those that begin with SET are settings.
 */
public class Runner {
  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      try {
        System.out.println("DONE " + run(Files.readString(Path.of(line)), args[0]));
      } catch (Throwable error) {
        StringWriter text = new StringWriter();
        error.printStackTrace(new PrintWriter(text));
        System.out.println("FAIL " + text.toString().replace("\n", " | "));
      }
      System.out.flush();
    }
    System.exit(0);
  }

  private static String run(String script, String restPort) throws Exception {
    Configuration cluster = new Configuration();
    cluster.setString("execution.target", "remote");
    cluster.setString("rest.address", "127.0.0.1");
    cluster.setString("rest.port", restPort);
    TableEnvironment environment =
        TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(cluster).build());
    String job = "";
    for (String part : script.split(";\\s*\\n")) {
      String statement = part.trim();
      if (statement.isEmpty()) continue;
      if (statement.startsWith("SET ")) {
        String[] setting = statement.substring(4).replace("'", "").split("=", 2);
        environment.getConfig().getConfiguration().setString(setting[0].trim(), setting[1].trim());
        continue;
      }
      TableResult result = environment.executeSql(statement);
      if (result.getJobClient().isEmpty()) continue;
      job = result.getJobClient().get().getJobID().toString();
      result.await();
    }
    return job;
  }
}
