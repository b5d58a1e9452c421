import Foundation

/// Lines for the person who started the job. Errors are not printed here: they are thrown, and printed once.
enum Console {
    /// Writes a line to standard output.
    static func print(_ text: String) {
        write(text + "\n", to: .standardOutput)
    }

    /// Writes `pilot: warning: …`, one line, to standard error.
    static func warn(_ message: String) {
        note("warning: " + message)
    }

    /// Writes `pilot: …`, one line, to standard error.
    static func note(_ message: String) {
        let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        write("pilot: \(line)\n", to: .standardError)
    }

    /// Writes text as it is, in one piece.
    static func write(_ text: String, to handle: FileHandle) {
        // A closed pipe is no reason to lose the picture.
        try? handle.write(contentsOf: Data(text.utf8))
    }

    /// `1 step`, `2 steps`.
    static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }

    /// The text in quotes on one line, whole, with control characters and line breaks escaped.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\"", "\\": result += "\\\(scalar)"
            default:
                let breaks: [Unicode.GeneralCategory] = [.control, .lineSeparator, .paragraphSeparator]
                result +=
                    breaks.contains(scalar.properties.generalCategory)
                    ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
            }
        }
        return result + "\""
    }
}
