/// The version of the program, as records and `--version` say it.
public enum Version {
    public static let text = "0.1.0"
}
