import Failures
import Glibc

/// Lines for a person, on standard error.
enum StandardError {
    /// Writes `pilot: error: …` in one piece, so that no other rank's output comes between.
    static func report(_ message: String) {
        let text = shortened(message.split(whereSeparator: \.isNewline).joined(separator: " "))
        let line = "pilot: error: \(text)\n"
        var bytes = Array(line.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }
}

extension Failure {
    /// Any error as a failure; one that no one foresaw is the engine's own fault.
    init(wrapping error: any Error) {
        self = error as? Failure ?? .internalFault("unexpected error: \(error)")
    }
}
