import Dispatch
import Failures
import Glibc
import Synchronization

/// One line of a batch.
package enum BatchLine: Equatable, Sendable {
    /// Without its line break.
    case text([UInt8])
    /// Longer than any job can be.
    case tooLong
}

/// Reads a file, or what another program writes, line by line as it comes.
///
/// Lines that are too long are read past, and not kept.
package final class LineReader: Sendable {
    package static let longestLine = 1 << 20
    /// How often a reader that waits looks whether it is to go on, in milliseconds.
    private static let patience: Int32 = 100

    private struct State {
        var buffer: [UInt8] = []
        var position = 0
        var isAtEnd = false
    }

    let name: String
    private let descriptor: Int32
    private let isOwned: Bool
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "batch lines")

    /// - Parameter path: a file; `-` is standard input.
    /// - Throws: `Failure.missingInput`.
    package convenience init(_ path: String) throws {
        guard path != "-" else {
            self.init(descriptor: STDIN_FILENO, name: "standard input", isOwned: false)
            return
        }
        let source = try LineSource(path)
        self.init(descriptor: source.descriptor, name: path, isOwned: true)
        state.withLock { state in
            state.buffer = source.firstBytes
            state.isAtEnd = source.isAtEnd
        }
    }

    /// - Parameter isOwned: whether the descriptor is closed with this.
    package init(descriptor: Int32, name: String, isOwned: Bool) {
        self.descriptor = descriptor
        self.name = name
        self.isOwned = isOwned
    }

    deinit { if isOwned { close(descriptor) } }

    /// The next line, once it is there; nil after the last one. Waits on a thread of its own.
    ///
    /// - Throws: `CancellationError` when the task is cancelled; `Failure.missingInput`.
    func next() async throws -> BatchLine? {
        let isCancelled = Flag()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                queue.async { continuation.resume(with: Result { try self.read(unless: isCancelled) }) }
            }
        } onCancel: {
            isCancelled.value.store(true, ordering: .relaxed)
        }
    }

    /// All lines, once the last has come.
    package func readAll() throws -> [BatchLine] {
        var lines: [BatchLine] = []
        while let line = try read(unless: Flag()) { lines.append(line) }
        return lines
    }

    private func read(unless isCancelled: Flag) throws -> BatchLine? {
        try state.withLock { state in
            var line: [UInt8] = []
            var isTooLong = false
            while true {
                let rest = state.buffer[state.position...]
                let end = rest.firstIndex(of: UInt8(ascii: "\n"))
                isTooLong = isTooLong || line.count + (end ?? rest.endIndex) - rest.startIndex > Self.longestLine
                line = isTooLong ? [] : line + rest[..<(end ?? rest.endIndex)]
                if let end {
                    state.position = end + 1
                    return isTooLong ? .tooLong : .text(line)
                }
                state.position = state.buffer.count
                if state.isAtEnd {
                    if isTooLong { return .tooLong }
                    return line.isEmpty ? nil : .text(line)
                }
                try fill(&state, unless: isCancelled)
            }
        }
    }

    private func fill(_ state: inout State, unless isCancelled: Flag) throws {
        while true {
            if isCancelled.value.load(ordering: .relaxed) { throw CancellationError() }
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&request, 1, Self.patience)
            if ready > 0 { break }
            if ready < 0 && errno != EINTR { throw readingFailed() }
        }
        let piece = 1 << 16
        var received = 0
        repeat {
            state.buffer = [UInt8](unsafeUninitializedCapacity: piece) { buffer, count in
                received = Glibc.read(descriptor, buffer.baseAddress, piece)
                count = max(0, received)
            }
        } while received < 0 && errno == EINTR
        if received < 0 { throw readingFailed() }
        state.position = 0
        state.isAtEnd = received == 0
    }

    private func readingFailed() -> Failure {
        .missingInput("cannot read \(name): \(String(cString: strerror(errno)))")
    }

    private final class Flag: Sendable {
        let value = Atomic(false)
    }
}
