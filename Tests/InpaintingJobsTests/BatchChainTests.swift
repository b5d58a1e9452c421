import Failures
import Foundation
import ImageFiles
import InpaintingJobs
import PilotInpainting
import TensorKernels
import Testing

/// Batches in which jobs paint on the results of others.
@Suite struct BatchChainTests {
    private func line(_ output: String, on image: String? = nil, _ rest: String = "", in folder: BatchFolder) -> String
    {
        let image = image.map { #", "image": "\#(folder.output($0))""# } ?? ""
        return #"{"output": "\#(output)"\#(image)\#(rest)}"#
    }

    /// Whatever the lines' order and however many are in flight, each begins when its image is there.
    @Test(arguments: [1, 4])
    func orderIsFoundFromTheNames(inFlight: Int) async throws {
        let folder = try BatchFolder()
        let lines = [
            line("c.png", on: "sub/b.png", #", "seed": 3"#, in: folder), line("x.png", in: folder),
            line("sub/b.png", on: "a-2.png", #", "seed": 2"#, in: folder),
            line("a.png", on: nil, #", "count": 2"#, in: folder),
            line("d.png", on: "c.png", #", "seed": 4"#, in: folder),
        ]
        let log = EventLog()
        let engine = FakeEngine(folder.model.description, jobsInFlight: inFlight)
        let outcome = try await folder.run(try folder.setup(lines), on: engine, log: log)
        #expect(outcome.failureCount == 0)
        #expect(log.started == ["x.png", "a-1.png", "a-2.png", "sub/b.png", "c.png", "d.png"])
        let edits = try JobRecord(fromResult: folder.output("d.png")).edits
        #expect(edits?.map(\.settings.method.seed) == [1, 2, 3])
        #expect(edits?[0].settings.image == folder.file("image.png"))

        // Again: nothing is to be done; then what is missing, and only that.
        let again = try await folder.run(try folder.setup(lines))
        #expect(again.entries.allSatisfy { $0.result.status == .present })
        let before = try folder.contents("d.png")
        for name in ["a-2.png", "c.png"] { try FileManager.default.removeItem(atPath: folder.output(name)) }
        let rest = try await folder.run(try folder.setup(lines))
        let made = rest.entries.filter { $0.result.status == .done }.compactMap(\.result.output)
        #expect(made == ["c.png", "a-2.png"])
        #expect(rest.entries.count { $0.result.status == .present } == 4)
        #expect(try folder.contents("d.png") == before)
    }

    /// A link that is made anew, otherwise, makes its followers anew.
    @Test func followersOfAnotherPictureAreMadeAnew() async throws {
        let folder = try BatchFolder()
        func lines(_ seed: Int) -> [String] {
            [line("a.png", on: nil, #", "seed": \#(seed)"#, in: folder), line("b.png", on: "a.png", in: folder)]
        }
        try await folder.run(try folder.setup(lines(1)))
        let before = try folder.contents("b.png")
        let setup = try folder.setup(lines(2))
        await #expect(throws: Failure.self) { try await folder.run(setup) }
        var overwriting = setup
        overwriting.overwrites = true
        let outcome = try await folder.run(overwriting)
        #expect(outcome.entries.map(\.result.status) == [.done, .done])
        #expect(try folder.contents("b.png") != before)
    }

    @Test func circlesAreRefusedWithTheirLines() async throws {
        let folder = try BatchFolder()
        let lines = [
            line("a.png", on: "c.png", in: folder), line("x.png", in: folder), line("b.png", on: "a.png", in: folder),
            line("c.png", on: "b.png", in: folder), line("d.png", on: "b.png", in: folder),
        ]
        let log = EventLog()
        await #expect(throws: Failure.self) { try await folder.run(try folder.setup(lines), log: log) }
        #expect(log.refusals.count == 4 && log.starts == 0)
        for line in [1, 3, 4] {
            #expect(log.refusals.contains { $0.contains("line \(line): image: lines 1, 3, 4 each paint on") })
        }
        #expect(
            log.refusals.contains { $0.contains("line 5: image: ") && $0.contains("output of line 3, which can't") })

        var setup = try folder.setup(
            lines + [line("e.png", on: "f.png", in: folder), #"{"output": "f.png", "steps": 0}"#])
        setup.keepsGoing = true
        let outcome = try await folder.run(setup)
        #expect(
            outcome.entries.map(\.result.status) == [.refused, .done, .refused, .refused, .refused, .refused, .refused])
        #expect(outcome.entries[5].result.error?.contains("is the output of line 7, which can't be run") == true)
        #expect(folder.outputs == ["x.png"])
    }

    @Test func aFailedLinkFailsItsFollowers() async throws {
        let folder = try BatchFolder()
        try Data("no picture".utf8).write(to: URL(filePath: folder.file("text.png")))
        let lines = [
            line("c.png", on: "b.png", in: folder), line("b.png", on: "a.png", in: folder),
            #"{"output": "a.png", "image": "\#(folder.file("text.png"))"}"#, line("x.png", in: folder),
        ]
        for inFlight in [1, 3] {
            let engine = FakeEngine(folder.model.description, jobsInFlight: inFlight)
            let outcome = try await folder.run(try folder.setup(lines), on: engine)
            let expected: [BatchResult.Status] = [.failed, .failed, .failed, inFlight == 1 ? .done : .present]
            #expect(outcome.entries.map(\.result.status) == expected)
            let errors = outcome.entries.compactMap(\.result.error)
            #expect(errors[0].contains("line 1, c.png: its image is b.png, another job's result"), "\(errors[0])")
            #expect(errors[1].contains("line 2, b.png: its image is a.png"))
            #expect(outcome.firstFailure?.message.contains("text.png") == true)
        }
    }
}
