/// Why a job could not go on, in words for the person who started it.
///
/// Every error that reaches a user is a `Failure`: the message names the file, the key, what was expected and what
/// was found, and what to do about it; the kind fixes the exit code a script can test.
public struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The classes of failure; the raw value is the process's exit code (those of BSD's `sysexits.h`).
    public enum Kind: Int32, Sendable {
        /// The command line asks for something that does not make sense.
        case usage = 64
        /// A file was read, and its contents are wrong.
        case badData = 65
        /// A file or folder that was named is not there or can't be read.
        case missingInput = 66
        /// The engine's own fault, a library's, or a number that became NaN or infinite.
        case internalFault = 70
        /// Writing failed: a full disk, a folder that is not there.
        case inputOutput = 74
        /// Stopped by Ctrl-C or by a request to terminate.
        case interrupted = 130
    }

    public let kind: Kind
    /// One line, without a trailing full stop's worth of newline.
    public let message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { message }
    public var exitCode: Int32 { kind.rawValue }

    public static func usage(_ message: String) -> Failure { Failure(.usage, message) }
    public static func badData(_ message: String) -> Failure { Failure(.badData, message) }
    public static func missingInput(_ message: String) -> Failure { Failure(.missingInput, message) }
    public static func internalFault(_ message: String) -> Failure { Failure(.internalFault, message) }
    public static func inputOutput(_ message: String) -> Failure { Failure(.inputOutput, message) }

    /// Bad data at one key of one file: what was expected there and what was found.
    public static func badData(file: String, key: String, expected: String, found: String) -> Failure {
        Failure(.badData, "\(file): \(key): expected \(expected), found \(found)")
    }
}
