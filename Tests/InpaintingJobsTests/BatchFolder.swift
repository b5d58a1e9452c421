import Failures
import Foundation
import ImageFiles
import InpaintingJobs
import PilotInpainting
import Synchronization
import TensorKernels
import TestSupport

/// A folder of its own for one test, with a picture and a mask, and batches that run there on a fake machine.
final class BatchFolder: Sendable {
    private static let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path()
    static let modelFolder = tests + "DiffusionModelsTests/Fixtures/models/sd1"

    let path: String
    let model: JobModel

    init() throws {
        path = NSTemporaryDirectory() + "batch-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        model = try JobModel(ModelChoice(Self.modelFolder)) { _ in }
        for name in ["image.png", "mask.png"] {
            try FileManager.default.copyContents(
                atPath: Self.tests + "pilotTests/Fixtures/jobs/sd1-border/\(name)", toPath: "\(path)/\(name)")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }
    func output(_ name: String) -> String { "\(path)/out/\(name)" }
    func contents(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: output(name))) }

    /// What is in the outputs' folder, and below.
    var outputs: [String] {
        (FileManager.default.enumerator(atPath: file("out"))?.allObjects ?? []).compactMap { $0 as? String }.sorted()
    }

    /// Two steps, the first optimised, on the folder's picture.
    var defaults: JobDraft {
        var draft = JobDraft(model: Self.modelFolder)
        draft.image = file("image.png")
        draft.mask = file("mask.png")
        draft.prompt = "fox"
        draft.settings.method.steps = 2
        draft.settings.method.gradientSteps = 2
        return draft
    }

    func setup(_ lines: [String]) throws -> BatchSetup {
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(filePath: file("jobs.jsonl")))
        return BatchSetup(lines: file("jobs.jsonl"), folder: file("out"), defaults: defaults)
    }

    @discardableResult
    func run(
        _ setup: BatchSetup, on engine: FakeEngine? = nil, log: EventLog = EventLog()
    ) async throws -> Batch.Outcome {
        let engine = engine ?? FakeEngine(model.description, jobsInFlight: 1, slowest: 0)
        return try await Batch(setup, model: model) { log.add($0) }.run {
            log.countStart()
            return engine
        }
    }
}

/// What a batch told.
final class EventLog: Sendable {
    private struct State {
        var events: [BatchEvent] = []
        var starts = 0
    }
    private let state = Mutex(State())

    func add(_ event: BatchEvent) { state.withLock { $0.events.append(event) } }
    func countStart() { state.withLock { $0.starts += 1 } }

    /// How often an engine was started.
    var starts: Int { state.withLock { $0.starts } }
    var events: [BatchEvent] { state.withLock { $0.events } }

    /// The outputs of jobs that were started, in this order.
    var started: [String] {
        events.compactMap { if case .started(let job) = $0 { job.name } else { nil } }
    }
    var finished: [BatchResult] {
        events.compactMap { if case .finished(let result) = $0 { result } else { nil } }
    }
    var refusals: [String] {
        events.compactMap { if case .refused(let fault) = $0 { fault.failure.message } else { nil } }
    }

    /// Waits until so many jobs have ended.
    func waitFor(finished count: Int) async throws {
        for _ in 0..<2000 where finished.count < count { try await Task.sleep(for: .milliseconds(10)) }
    }
}
