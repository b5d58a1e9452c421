import Failures
import Foundation
import InpaintingJobs
import Testing

/// Lines from pipes that give them in pieces, and jobs that begin while more come.
@Suite struct LineReaderTests {
    private func reader(of pipe: Pipe) -> LineReader {
        LineReader(descriptor: dup(pipe.fileHandleForReading.fileDescriptor), name: "standard input", isOwned: true)
    }

    private func lines(of bytes: [UInt8]) async throws -> [BatchLine] {
        let file = NSTemporaryDirectory() + "lines-\(UUID().uuidString)"
        try Data(bytes).write(to: URL(filePath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        return try LineReader(file).readAll()
    }

    @Test func linesAreWhatStandsBetweenBreaks() async throws {
        func text(_ text: String) -> BatchLine { .text(Array(text.utf8)) }
        #expect(try await lines(of: []) == [])
        #expect(try await lines(of: Array("\n".utf8)) == [text("")])
        #expect(try await lines(of: Array("a\n\nbc".utf8)) == [text("a"), text(""), text("bc")])
        #expect(try await lines(of: Array("a\r\n".utf8)) == [text("a\r")])
    }

    /// Around the pieces in which a file is read, and the longest line.
    @Test(arguments: [65535, 65536, 65537, LineReader.longestLine, LineReader.longestLine + 1, 3 << 20])
    func longLines(length: Int) async throws {
        let line = [UInt8](repeating: 0x61, count: length)
        let found = try await lines(of: line + [0x0A] + line + [0x0A, 0x62])
        let expected: BatchLine = length > LineReader.longestLine ? .tooLong : .text(line)
        #expect(found == [expected, expected, .text([0x62])])
    }

    @Test func jobsBeginWhileLinesCome() async throws {
        let folder = try BatchFolder()
        let pipe = Pipe()
        let log = EventLog()
        let setup = BatchSetup(lines: "-", folder: folder.file("out"), defaults: folder.defaults)
        let batch = try Batch(setup, model: folder.model, reader: reader(of: pipe)) { log.add($0) }
        let run = Task {
            try await batch.run { FakeEngine(folder.model.description, jobsInFlight: 3, slowest: 0) }
        }
        let input = pipe.fileHandleForWriting
        for number in 1...4 {
            // A line in three pieces; the job is done before the next line is begun.
            for piece in [#"{"output": ""#, "\(number).p", "ng\"}\n"] {
                try input.write(contentsOf: Data(piece.utf8))
                try await Task.sleep(for: .milliseconds(5))
            }
            try await log.waitFor(finished: number)
            #expect(log.finished.count == number)
            #expect(folder.outputs.count == number)
        }
        // The last line has no break.
        try input.write(contentsOf: Data(#"{"output": "5.png"}"#.utf8))
        try input.close()
        let outcome = try await run.value
        #expect(outcome.entries.map(\.result.output) == (1...5).map { "\($0).png" })
        #expect(outcome.failureCount == 0)
    }

    /// The first line that can't be run is the last that is read, unless the batch keeps going; what has begun ends.
    @Test(arguments: [false, true])
    func wrongLinesOfAStream(keepsGoing: Bool) async throws {
        let folder = try BatchFolder()
        let pipe = Pipe()
        var setup = BatchSetup(lines: "-", folder: folder.file("out"), defaults: folder.defaults)
        setup.keepsGoing = keepsGoing
        let batch = try Batch(setup, model: folder.model, reader: reader(of: pipe)) { _ in }
        let text = ##"{"output": "1.png"}"## + "\n" + ##"{"output": "../2.png"}"## + "\n" + ##"{"output": "3.png"}"##
        try pipe.fileHandleForWriting.write(contentsOf: Data(text.utf8))
        if keepsGoing { try pipe.fileHandleForWriting.close() }
        // Not closed otherwise: nobody waits for lines that will not be run.
        let outcome = try await batch.run { FakeEngine(folder.model.description, jobsInFlight: 1, slowest: 0) }
        #expect(outcome.entries.map(\.result.status) == (keepsGoing ? [.done, .refused, .done] : [.done, .refused]))
        #expect(outcome.firstFailure?.message.contains("standard input line 2: output: ") == true)
    }

    @Test func waitingForALineCanBeCancelled() async throws {
        let folder = try BatchFolder()
        let pipe = Pipe()
        let setup = BatchSetup(lines: "-", folder: folder.file("out"), defaults: folder.defaults)
        let batch = try Batch(setup, model: folder.model, reader: reader(of: pipe)) { _ in }
        let run = Task {
            try await batch.run { FakeEngine(folder.model.description, jobsInFlight: 1) }
        }
        try await Task.sleep(for: .milliseconds(50))
        run.cancel()
        let result = await run.result
        #expect(throws: (any Error).self) { try result.get() }
        try pipe.fileHandleForWriting.close()
    }
}
