import Failures

/// The lines of a trace, one at a time, so that a file of gigabytes takes no more memory than its longest line.
struct TraceLines {
    /// The first line names every rank's clock; the others are events.
    private static let longestFirst = 64 << 20
    private static let longest = 1 << 16
    private static let chunkBytes = 1 << 20

    /// Of the line that was returned last, from 1.
    private(set) var number = 0
    private let path: String
    private let file: RegularFile
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false

    /// - Throws: `Failure.missingInput`.
    init(_ path: String) throws {
        self.path = path
        file = try RegularFile(path, expected: "a file that --trace wrote")
    }

    /// The next line without its end; nil after the last.
    ///
    /// - Throws: `Failure.badData` for a line longer than any of a trace.
    mutating func next() throws -> [UInt8]? {
        var searched = position
        let limit = number == 0 ? Self.longestFirst : Self.longest
        while true {
            let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n"))
            guard (end ?? buffer.count) - position <= limit else {
                throw Failure.badData(
                    "\(path): line \(number + 1): more than \(limit) bytes; expected a file that --trace wrote")
            }
            if let end {
                defer { position = end + 1 }
                number += 1
                return Array(buffer[position..<end])
            }
            if isAtEnd {
                guard position < buffer.count else { return nil }
                defer { position = buffer.count }
                number += 1
                return Array(buffer[position...])
            }
            buffer.removeFirst(position)
            position = 0
            searched = buffer.count
            try fill()
        }
    }

    private mutating func fill() throws {
        let bytes = try file.read(atMost: Self.chunkBytes)
        isAtEnd = bytes.isEmpty
        buffer += bytes
    }
}
