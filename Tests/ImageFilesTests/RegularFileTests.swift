import Failures
import Foundation
import Testing

/// What is read whole is looked at before: by its kind, and by its size.
@Suite struct RegularFileTests {
    private func contents(_ path: String, atMost limit: Int = 10) throws -> [UInt8] {
        try RegularFile.contents(of: path, expected: "a note", atMost: limit)
    }

    @Test func isReadWithinItsLimit() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/note"
            try Data("0123456789".utf8).write(to: URL(filePath: path))
            #expect(try contents(path) == Array("0123456789".utf8))
            let thrown = try #require(failure { _ = try contents(path, atMost: 9) })
            #expect(thrown == .badData("\(path): expected a note of at most 9 bytes, found 10 bytes"))
            let file = try RegularFile(path, expected: "a note")
            #expect(try file.read(atMost: 4) == Array("0123".utf8))
            #expect(try file.read(atMost: 100) == Array("456789".utf8))
            #expect(try file.read(atMost: 100).isEmpty)
        }
    }

    /// None of them is waited for.
    @Test func whatIsNoFileIsRefusedByItsKind() throws {
        try withTemporaryFolder { folder in
            let pipe = folder + "/pipe"
            #expect(mkfifo(pipe, 0o666) == 0)
            for (path, words) in [
                (pipe, "it is a pipe; expected a note"), (folder, "it is a folder"), ("/dev/zero", "it is a device"),
                (folder + "/none", "No such file"), ("a\0b", "not a file name"),
            ] {
                let thrown = try #require(failure { _ = try contents(path) })
                #expect(thrown.kind == .missingInput && thrown.message.contains(words), "\(thrown.message)")
            }
        }
    }
}
