import Failures
import Foundation
import Glibc
import Synchronization

extension BatchResult {
    /// One line of JSON, without the line break.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

/// A file that gets a line of JSON for each job as it ends. What was in it stays.
public final class ResultsFile: Sendable {
    private let path: String
    private let descriptor: Int32
    private let firstFailure = Mutex<Failure?>(nil)

    /// - Throws: `Failure.inputOutput` when the file can't be opened for writing.
    public init(_ path: String) throws {
        self.path = path
        // A pipe that nobody reads is not waited for.
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0o666)
        guard descriptor >= 0 else {
            let reason = errno == ENXIO ? "nobody reads this pipe" : String(cString: strerror(errno))
            throw Failure.inputOutput("--results \(path): cannot be written: \(reason)")
        }
        _ = fcntl(descriptor, F_SETFL, O_WRONLY | O_APPEND)
    }

    deinit { close(descriptor) }

    /// Why a line could not be written; nil if all could. No job ends for it.
    public var failure: Failure? { firstFailure.withLock { $0 } }

    /// Appends a line in one piece.
    public func append(_ result: BatchResult) {
        do {
            let line = Array((try result.json() + "\n").utf8)
            // Held meanwhile: lines of two jobs must not mix.
            try firstFailure.withLock { _ in try write(line) }
        } catch {
            let failure = error as? Failure ?? .internalFault("unexpected error: \(error)")
            firstFailure.withLock { $0 = $0 ?? failure }
        }
    }

    private func write(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                throw Failure.inputOutput("--results \(path): cannot be written: \(String(cString: strerror(errno)))")
            }
        }
    }
}
