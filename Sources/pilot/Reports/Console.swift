import Failures
import Foundation

/// Lines for the person who started the job. Errors are not printed here: they are thrown, and printed once.
enum Console {
    /// Where somebody looks at standard error while it is written; nil in a log.
    static let terminal = Terminal.find()

    /// How many characters a line has there.
    static var width: Int { terminal?.width ?? Terminal.usualWidth }

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
        let line = shortened(message.split(whereSeparator: \.isNewline).joined(separator: " "))
        // A line of progress may be there, with the cursor before it.
        write("\(terminal == nil ? "" : "\u{1b}[K")pilot: \(line)\n")
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
