import ArgumentParser
import Failures

/// What the parser finds wrong with a command line, as this program says it.
struct CommandLineFault {
    /// In the parser's words, and the command whose help it names.
    private let message: String
    private let help: String
    private let arguments: [String]

    /// - Parameter error: what parsing `arguments` threw.
    init(_ error: any Error, arguments: [String]) {
        message = Pilot.message(for: error)
        // The parser knows which command it was at, and says so in its advice alone.
        let advice = Pilot.fullMessage(for: error).firstMatch(of: /See '(?<help>pilot.* --help)' for more/)
        help = advice.map { String($0.output.help) } ?? "pilot --help"
        self.arguments = arguments
    }

    var failure: Failure { .usage("\(unquotedPrompt ?? badValue ?? message) (see \(help))") }

    /// `--prompt a red bench`
    private var unquotedPrompt: String? {
        guard message.contains(/[Uu]nexpected argument/) else { return nil }
        for (index, argument) in arguments.enumerated() {
            // The first word may be behind the option, or a part of it.
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            guard let option = parts.first, ["--prompt", "--negative-prompt"].contains(option) else { continue }
            let words = parts.dropFirst() + arguments[(index + 1)...].prefix { !$0.hasPrefix("--") }
            guard words.count > 1 else { continue }
            let prompt = shortened(words.joined(separator: " "), to: 100)
            return "\(option): a text of several words wants quotes: \(option) \"\(prompt)\""
        }
        return nil
    }

    /// A value that is not what `whole` reads.
    private var badValue: String? {
        let pattern = /The value '(?<value>.*)' is invalid for '(?<option>--[a-z-]+)( <[^>]*>)?': (?<expected>.+)/
        guard let match = message.wholeMatch(of: pattern.dotMatchesNewlines()) else { return nil }
        let (option, expected, value) = (match.output.option, match.output.expected, match.output.value)
        return "\(option): expected \(expected), found \(quoted(String(value)))"
    }
}
