import Failures
import Foundation
import Glibc

/// Lines for the person who started the job. Errors are not printed here: they are thrown, and printed once.
enum Console {
    /// Whether somebody looks at standard error while it is written.
    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// How many characters a line has there.
    static var terminalWidth: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
        return Int(size.ws_col)
    }

    /// Writes a line to standard output.
    ///
    /// - Returns: whether anybody reads what is printed there.
    /// - Throws: `Failure.inputOutput` when the line is lost.
    @discardableResult
    static func print(_ text: String) throws -> Bool { try StandardOutput.print(text) }

    /// Writes `pilot: warning: …`, one line, to standard error.
    static func warn(_ message: String) {
        note("warning: " + message)
    }

    /// Writes `pilot: …`, one line, to standard error.
    static func note(_ message: String) {
        let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        write("pilot: \(line)\n")
    }

    /// Writes text to standard error as it is, in one piece.
    static func write(_ text: String) {
        // A closed pipe is no reason to lose the picture.
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }

    /// `1 step`, `2 steps`.
    static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
}
