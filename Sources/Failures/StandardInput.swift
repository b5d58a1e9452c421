import Glibc

/// A file that another program hands over on standard input.
public enum StandardInput {
    /// What options call it, where a file's name may stand.
    public static let name = "-"

    private static let piece = 1 << 20

    /// All that comes, until its end.
    ///
    /// - Parameters:
    ///   - expected: what should come, for messages: `a PNG, JPEG or WebP picture`.
    ///   - limit: how many bytes that may have.
    /// - Throws: `Failure.usage` for a terminal; `Failure.missingInput` if it can't be read; `Failure.badData` when more
    ///   than `limit` bytes come.
    public static func contents(expected: String, atMost limit: Int) throws -> [UInt8] {
        guard isatty(STDIN_FILENO) == 0 else {
            throw Failure.usage("standard input is a terminal; expected \(expected), such as - <FILE")
        }
        var status = stat()
        if fstat(STDIN_FILENO, &status) == 0, FileKind(status) == .regular, status.st_size > limit {
            throw tooLarge(expected, limit, "\(status.st_size)")
        }
        var bytes: [UInt8] = []
        while true {
            let count = bytes.count
            bytes.append(contentsOf: try next())
            if bytes.count == count { return bytes }
            guard bytes.count <= limit else { throw tooLarge(expected, limit, "more") }
        }
    }

    /// The bytes that are there, once there are some; none at the end.
    private static func next() throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: piece) { buffer, received in
            while true {
                let count = read(STDIN_FILENO, buffer.baseAddress, buffer.count)
                if count >= 0 {
                    received = count
                    return
                }
                if errno == EAGAIN {
                    var request = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
                    _ = poll(&request, 1, -1)
                } else if errno != EINTR {
                    throw Failure.missingInput("cannot read standard input: \(String(cString: strerror(errno)))")
                }
            }
        }
    }

    private static func tooLarge(_ expected: String, _ limit: Int, _ found: String) -> Failure {
        .badData("standard input: expected \(expected) of at most \(limit) bytes, found \(found)")
    }
}
