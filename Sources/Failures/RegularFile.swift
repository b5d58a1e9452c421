import Glibc

/// A regular file that is open for reading, of a size that is known to be bearable.
///
/// Nothing that a path may lead to holds it up: a pipe is not waited for, but refused, as folders and devices are. It is
/// read, and not mapped: a mapped file that another process shortens ends this one with SIGBUS.
public final class RegularFile: Sendable {
    public let path: String
    /// As it was when the file was opened.
    public let byteCount: Int
    private let descriptor: Int32

    /// - Parameters:
    ///   - expected: what should be there, for messages: `a PNG, JPEG or WebP picture`.
    ///   - limit: how many bytes such a file may have.
    /// - Throws: `Failure.missingInput` if the file is not there, can't be read or is no regular file; `Failure.badData`
    ///   if it is larger than `limit`.
    public init(_ path: String, expected: String, atMost limit: Int = .max) throws {
        guard !path.utf8.contains(0) else { throw Failure.missingInput("cannot read \(quoted(path)): not a file name") }
        // Without O_NONBLOCK, opening a pipe would wait for its writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw Self.unreadable(path, errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            defer { close(descriptor) }
            throw Self.unreadable(path, errno)
        }
        let kind = FileKind(status)
        self.path = path
        self.descriptor = descriptor
        byteCount = Int(status.st_size)
        guard kind == .regular else {
            throw Failure.missingInput("cannot read \(path): it is \(kind.name); expected \(expected)")
        }
        guard byteCount <= limit else {
            throw Failure.badData("\(path): expected \(expected) of at most \(limit) bytes, found \(byteCount) bytes")
        }
    }

    deinit { close(descriptor) }

    /// A whole file of at most `limit` bytes; see `init`.
    public static func contents(of path: String, expected: String, atMost limit: Int) throws -> [UInt8] {
        let file = try RegularFile(path, expected: expected, atMost: limit)
        // What is appended meanwhile is left out; what is cut off meanwhile is missed by whoever decodes the rest.
        return try file.read(atMost: file.byteCount)
    }

    /// The next bytes: `count` of them, fewer only at the file's end.
    public func read(atMost count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, received in
            while received < count {
                let piece = Glibc.read(descriptor, buffer.baseAddress?.advanced(by: received), count - received)
                if piece > 0 {
                    received += piece
                } else if piece == 0 {
                    break
                } else if errno != EINTR {
                    throw Self.unreadable(path, errno)
                }
            }
        }
    }

    private static func unreadable(_ path: String, _ code: Int32) -> Failure {
        .missingInput("cannot read \(path): \(String(cString: strerror(code)))")
    }
}
