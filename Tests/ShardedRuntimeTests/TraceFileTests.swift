import Failures
import Foundation
import ShardedRuntime
import Testing

/// Traces that others have had in hand.
@Suite struct TraceFileTests {
    private static let head =
        #"{"displayTimeUnit":"ms","otherData":{"format":"pilot-trace-1","ranks":2,"layout":"l","dropped":0},"traceEvents":["#
    private static let task =
        #"{"ph":"X","pid":0,"tid":0,"cat":"compute","name":"down","ts":1.5,"dur":2.25,"args":{"job":1}}"#
    private static let send = #"{"ph":"s","cat":"message","name":"down","id":4,"pid":0,"tid":1,"ts":3}"#
    private static let receive = #"{"ph":"f","bp":"e","cat":"message","name":"down","id":4,"pid":1,"tid":2,"ts":4}"#

    private func read(_ text: String) throws -> TraceFile {
        let path = FileManager.default.temporaryDirectory.appending(path: "trace-\(UUID().uuidString).json").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return try TraceFile(path)
    }

    private func file(_ events: String...) -> String {
        ([Self.head] + [events.joined(separator: ",\n")] + ["]}", ""]).joined(separator: "\n")
    }

    @Test func aSoundFileIsRead() throws {
        let trace = try read(file(Self.task, Self.send, Self.receive))
        #expect(trace.spans.count == 1 && trace.arrows.count == 1)
        #expect(trace.names == ["rank 0", "rank 1"])
        #expect(abs(trace.seconds - 3.75e-6) < 1e-15)
    }

    /// Cut anywhere, it is refused, and never taken for a shorter trace.
    @Test func aFileThatEndsEarlyIsRefused() throws {
        let text = Array(file(Self.task, Self.send, Self.receive).utf8)
        for count in 0..<text.count - 1 {
            let failure = #expect(throws: Failure.self) { try read(String(decoding: text[..<count], as: UTF8.self)) }
            #expect(failure?.kind == .badData)
        }
    }

    @Test(arguments: [
        ("", "is empty"), ("[]\n", "line 1"), ("{}\n", "line 1"), ("\u{0}\u{1}\n", "line 1"),
        (#"{"traceEvents":["# + "\n]}\n", "otherData.format: expected \"pilot-trace-1\""),
        (head.replacing("\"ranks\":2", with: "\"ranks\":0") + "\n]}\n", "otherData.ranks"),
        (head.replacing("\"ranks\":2", with: "\"ranks\":1e9") + "\n]}\n", "otherData.ranks"),
        (head.replacing("\"ranks\":2", with: "\"ranks\":1.5") + "\n]}\n", "otherData.ranks"),
    ])
    func foreignFilesAreRefused(text: String, found: String) {
        let failure = #expect(throws: Failure.self) { try read(text) }
        #expect(failure?.kind == .badData)
        #expect(failure?.message.contains(found) == true, "\(failure?.message ?? "")")
    }

    @Test(arguments: [
        (task.replacing("\"pid\":0", with: "\"pid\":2"), "pid: expected a number from 0.0 to 1.0, found 2"),
        (task.replacing("\"pid\":0", with: "\"pid\":-1"), "pid"),
        (task.replacing("\"ts\":1.5", with: "\"ts\":1e300"), "ts"),
        (task.replacing("\"dur\":2.25", with: "\"dur\":-1"), "dur"),
        (task.replacing("\"dur\":2.25", with: "\"dur\":\"2\""), "dur"),
        (task.replacing("compute", with: "rest"), "cat"),
        (task.replacing("\"X\"", with: "\"Q\""), "ph: expected M, X, s or f"),
        (task.replacing("\"ph\":\"X\"", with: "\"ph\":7"), "ph"),
        (receive, "id: expected that of a message sent before"), (send, "never received"),
        (send + ",\n" + send, "id"), ("17", "ph"), ("", "line 2"),
        ("{\"ph\":\"" + String(repeating: "x", count: 70_000) + "\"}", "line 2: more than"),
    ])
    func damagedLinesAreNamed(line: String, found: String) {
        let failure = #expect(throws: Failure.self) { try read(file(line)) }
        #expect(failure?.kind == .badData)
        #expect(failure?.message.contains(found) == true, "\(failure?.message ?? "")")
    }

    @Test func whatIsNotThereIsMissing() {
        for path in ["/nowhere/trace.json", "/tmp"] {
            let failure = #expect(throws: Failure.self) { try TraceFile(path) }
            #expect(failure?.kind == .missingInput)
        }
    }
}
