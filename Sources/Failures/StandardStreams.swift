import Glibc

/// The three streams that a program is started with, as a rule.
public enum StandardStreams {
    /// Keeps the numbers of streams that the program was started without, as by `>&-`: the next file to be opened would
    /// get such a number, and with it what is meant for the stream. To be called before anything is opened.
    ///
    /// What is written to standard output, or read from standard input, still fails as with a closed stream.
    public static func reserveNumbers() {
        for (stream, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        where fcntl(stream, F_GETFD) == -1 {
            // The lowest free number is taken, which is this one.
            _ = open("/dev/null", mode)
        }
    }
}
