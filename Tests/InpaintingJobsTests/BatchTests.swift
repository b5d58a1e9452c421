import Failures
import Foundation
import InpaintingJobs
import PilotInpainting
import Testing

/// Streams of jobs on a fake machine: order, failures, reruns, cancellation.
@Suite struct BatchTests {
    private static func lines(_ count: Int) -> [String] {
        (0..<count).map { #"{"output": "\#($0).png", "prompt": "fox \#($0)", "seed": \#($0)}"# }
    }

    /// Whatever is in flight: the same files, begun in their order, and never more at a time than asked.
    @Test(arguments: [1, 2, 5, 40])
    func pictureDependsOnItsJobAlone(inFlight: Int) async throws {
        let folder = try BatchFolder()
        let lines = Self.lines(12)
        let setup = try folder.setup(lines)
        try await folder.run(setup)
        let first = try (0..<12).map { try folder.contents("\($0).png") }
        #expect(Set(first).count == 12)

        try FileManager.default.removeItem(atPath: folder.file("out"))
        let engine = FakeEngine(folder.model.description, jobsInFlight: inFlight, slowest: inFlight == 1 ? 0 : 0.05)
        let log = EventLog()
        let outcome = try await folder.run(setup, on: engine, log: log)
        #expect(outcome.failureCount == 0 && outcome.firstFailure == nil)
        #expect(try (0..<12).map { try folder.contents("\($0).png") } == first)
        #expect(log.starts == 1)
        #expect(log.started.count == 12)
        if inFlight == 1 { #expect(log.started == (0..<12).map { "\($0).png" }) }
        #expect(outcome.entries.map(\.result.output) == (0..<12).map { "\($0).png" })
        #expect(outcome.entries.allSatisfy { $0.result.status == .done && $0.result.loss != nil })
        #expect(engine.counts.mostInFlight <= inFlight)
        #expect(engine.counts.mostInFlight >= min(5, inFlight))
        #expect(engine.counts.runs == 12 && engine.counts.finished == 12)
        // A job's room is the next one's before it is decoded.
        #expect(engine.counts.mostAtDecoding < inFlight)
    }

    /// A batch's picture is the file that a job alone writes; several of one line are those of `--count`.
    @Test func filesAreThoseOfJobsAlone() async throws {
        let folder = try BatchFolder()
        try await folder.run(
            try folder.setup([#"{"output": "a.png", "dump": "a.safetensors", "compare": "b.png", "count": 3}"#]),
            on: FakeEngine(folder.model.description, jobsInFlight: 3))
        var names = (1...3).flatMap { ["a-\($0).png", "a-\($0).safetensors", "b-\($0).png"] }
        #expect(folder.outputs == names.sorted())
        let batched = try names.map(folder.contents)

        var (settings, outputs) = (folder.defaults.settings, JobOutputs(picture: folder.output("a.png")))
        settings.image = folder.file("image.png")
        settings.mask = folder.file("mask.png")
        settings.prompt = "fox"
        outputs.count = 3
        outputs.dump = folder.output("a.safetensors")
        outputs.comparison = folder.output("b.png")
        names.reverse()
        for name in names { try FileManager.default.removeItem(atPath: folder.output(name)) }
        let job = try InpaintingJob(settings: settings, outputs: outputs).prepared(for: folder.model) { _ in }
        let engine = FakeEngine(folder.model.description, jobsInFlight: 2)
        let pictures = try await job.run(on: engine, ledger: PhaseLedger())
        #expect(pictures.map(\.seed) == [0, 1, 2])
        #expect(try names.reversed().map(folder.contents) == batched)
    }

    @Test func failuresStopNobody() async throws {
        let folder = try BatchFolder()
        try Data("no picture".utf8).write(to: URL(filePath: folder.file("text.png")))
        var lines = Self.lines(5)
        lines[1] = #"{"output": "1.png", "image": "\#(folder.file("text.png"))"}"#
        // The folder of the fourth disappears while it is computed.
        lines[3] = #"{"output": "gone/3.png"}"#
        let engine = FakeEngine(folder.model.description, jobsInFlight: 1) { number in
            if number == 2 { try? FileManager.default.removeItem(atPath: folder.output("gone")) }
        }
        let outcome = try await folder.run(try folder.setup(lines), on: engine)
        #expect(outcome.entries.map(\.result.status) == [.done, .failed, .done, .failed, .done])
        #expect(outcome.failureCount == 2)
        #expect(outcome.firstFailure?.kind == .badData)
        #expect(outcome.firstFailure?.message.contains("line 2, 1.png: ") == true)
        #expect(outcome.entries[1].result.exitCode == 65)
        #expect(outcome.entries[3].result.exitCode == 74)
        #expect(outcome.entries[3].result.error?.contains("line 4, gone/3.png: cannot write") == true)
        #expect(folder.outputs == ["0.png", "2.png", "4.png"])
        #expect(engine.counts.inFlight == 0)
    }

    @Test func rerunDoesWhatIsMissing() async throws {
        let folder = try BatchFolder()
        var lines = Self.lines(4)
        lines[2] = #"{"output": "2.png", "dump": "2.safetensors"}"#
        let setup = try folder.setup(lines)
        try await folder.run(setup)
        let files = folder.outputs
        let first = try files.map(folder.contents)

        let idle = EventLog()
        let again = try await folder.run(setup, log: idle)
        #expect(idle.starts == 0 && idle.started.isEmpty)
        #expect(again.entries.allSatisfy { $0.result.status == .present })

        try FileManager.default.removeItem(atPath: folder.output("0.png"))
        // Without its dump the picture is there, and the job is not done.
        try FileManager.default.removeItem(atPath: folder.output("2.safetensors"))
        let log = EventLog()
        try await folder.run(setup, log: log)
        #expect(log.started == ["0.png", "2.png"])
        #expect(folder.outputs == files)
        #expect(try files.map(folder.contents) == first)
    }

    @Test func whatIsSomebodyElsesIsNotWrittenOver() async throws {
        let folder = try BatchFolder()
        try await folder.run(try folder.setup(Self.lines(2)))
        let old = try folder.contents("1.png")
        var lines = Self.lines(3)
        lines[1] = #"{"output": "1.png", "prompt": "another", "seed": 1}"#
        var setup = try folder.setup(lines)
        let log = EventLog()
        await #expect(throws: Failure.self) { try await folder.run(setup, log: log) }
        #expect(log.refusals.count == 1)
        #expect(log.refusals.first?.contains("line 2: \(folder.output("1.png")): is there already") == true)
        #expect(try folder.contents("1.png") == old && folder.outputs == ["0.png", "1.png"])

        setup.overwrites = true
        let outcome = try await folder.run(setup)
        #expect(outcome.entries.map(\.result.status) == [.present, .done, .done])
        #expect(try folder.contents("1.png") != old)

        // A changed input makes it another job, too.
        try FileManager.default.removeItem(atPath: folder.file("mask.png"))
        try FileManager.default.copyItem(atPath: folder.file("image.png"), toPath: folder.file("mask.png"))
        setup.overwrites = false
        await #expect(throws: Failure.self) { try await folder.run(setup) }
    }

    @Test func cancellationEndsWhatIsInFlight() async throws {
        let folder = try BatchFolder()
        let setup = try folder.setup(Self.lines(8))
        let engine = FakeEngine(folder.model.description, jobsInFlight: 3, slowest: 60)
        let log = EventLog()
        let batch = Task { try await folder.run(setup, on: engine, log: log) }
        while engine.counts.inFlight < 3 { try await Task.sleep(for: .milliseconds(5)) }
        batch.cancel()
        let result = await batch.result
        #expect(throws: Failure(.interrupted, "interrupted")) { try result.get() }
        #expect(engine.counts.inFlight == 0 && engine.counts.runs == 3)
        #expect(log.finished.isEmpty && folder.outputs.isEmpty)
    }

    @Test func recordedJobsAreRepeated() async throws {
        let folder = try BatchFolder()
        try await folder.run(try folder.setup([#"{"output": "a.png", "seed": 5, "steps": 3}"#]))
        let setup = try folder.setup([
            #"{"from": "\#(folder.output("a.png"))", "output": "b.png"}"#,
            #"{"from": "\#(folder.output("a.png"))", "output": "c.png", "seed": 6}"#,
        ])
        try await folder.run(setup)
        #expect(try folder.contents("b.png") == folder.contents("a.png"))
        #expect(try folder.contents("c.png") != folder.contents("a.png"))
    }

    @Test func resultsAreLines() async throws {
        let folder = try BatchFolder()
        let path = folder.file("results.jsonl")
        let outcome = try await folder.run(try folder.setup(Self.lines(2)))
        for _ in 0..<2 {
            let file = try ResultsFile(path)
            for entry in outcome.entries { file.append(entry.result) }
            #expect(file.failure == nil)
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 4)
        let result = try JSONDecoder().decode(BatchResult.self, from: Data(lines[3].utf8))
        #expect(result == outcome.entries[1].result)
        let full = try ResultsFile("/dev/full")
        full.append(result)
        #expect(full.failure?.kind == .inputOutput)
    }
}
