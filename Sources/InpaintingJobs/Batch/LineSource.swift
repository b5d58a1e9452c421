import Failures
import Glibc

/// Where lines come from that are not on standard input: a file, or a pipe that somebody writes to.
struct LineSource {
    /// A million jobs, the most of a batch, have a kilobyte each here.
    private static let mostBytes = 1 << 30
    private static let pieceBytes = 1 << 12

    let descriptor: Int32
    /// What a pipe held.
    private(set) var firstBytes: [UInt8] = []
    /// Whether nothing comes after that.
    private(set) var isAtEnd = false

    /// Opens the file, without waiting for the writer of a pipe.
    ///
    /// - Throws: `Failure.missingInput`; `Failure.badData` for a file that is too large.
    init(_ path: String) throws {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw Self.unreadable(path, String(cString: strerror(errno))) }
        do {
            try check(path)
        } catch {
            close(descriptor)
            throw error
        }
        _ = fcntl(descriptor, F_SETFL, O_RDONLY)
    }

    private mutating func check(_ path: String) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.unreadable(path, String(cString: strerror(errno))) }
        switch FileKind(status) {
        case .regular where status.st_size > Self.mostBytes:
            throw Failure.badData(
                "\(path): expected jobs' lines of at most \(Self.mostBytes) bytes, found \(status.st_size) bytes")
        case .regular: break
        case .pipe:
            drain()
            if isAtEnd && firstBytes.isEmpty {
                throw Self.unreadable(path, "nobody writes to this pipe; - reads standard input")
            }
        case let other:
            throw Self.unreadable(path, "it is \(other.name); expected a file of jobs' lines, or - for standard input")
        }
    }

    /// Reads what the pipe holds, to its end if it has no writer: a pipe that had none when it was opened does not tell
    /// `poll` of its end. Where there is a writer, reading would block at last.
    private mutating func drain() {
        var count = 0
        repeat {
            firstBytes += [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { buffer, received in
                count = read(descriptor, buffer.baseAddress, buffer.count)
                received = max(0, count)
            }
        } while count > 0
        isAtEnd = count == 0
    }

    private static func unreadable(_ path: String, _ reason: String) -> Failure {
        .missingInput("cannot read \(path): \(reason)")
    }
}
