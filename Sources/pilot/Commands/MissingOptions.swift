import Failures

/// Options that a command can't do without, and that were not given.
enum MissingOptions {
    /// All of them in one line.
    static func failure(_ names: [String], of command: String) -> Failure {
        let list = [names.dropLast().joined(separator: ", "), names.last ?? ""].filter { !$0.isEmpty }
        return .usage(
            "\(list.joined(separator: " and ")) \(names.count == 1 ? "is" : "are") missing; see \(command) --help")
    }
}
