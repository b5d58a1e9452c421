import Foundation
import TensorKernels
import TestSupport

/// A folder of its own for one test, with a small job's files in it, and the built `pilot` to run there.
final class PilotRunner: Sendable {
    /// The fixtures of this target.
    static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().path() + "Fixtures"
    /// Tiny seeded models.
    static let models =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path()
        + "DiffusionModelsTests/Fixtures/models"

    /// Tiny ControlNets for them.
    static let controls =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path()
        + "DiffusionModelsTests/Fixtures/control"

    /// Tiny T2I-Adapters for them.
    static let adapters =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path()
        + "DiffusionModelsTests/Fixtures/t2i_adapter"

    /// Tiny IP-Adapters for them, with their image encoder.
    static let imageAdapters =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path()
        + "DiffusionModelsTests/Fixtures/ip_adapter"

    /// In kilobytes, as `ulimit -v` has it: room for a small job, and none for a file of 4 GiB.
    static let addressSpace = 3_000_000

    let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "pilot-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["image.png", "mask.png"] {
            try FileManager.default.copyContents(
                atPath: "\(Self.fixtures)/jobs/sd1-border/\(name)", toPath: "\(folder)/\(name)")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func contents(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path(name))) }

    func write(_ bytes: some Sequence<UInt8>, to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
    }

    func write(_ text: String, to name: String) throws { try write(text.utf8, to: name) }

    /// All files in the folder and below it, hidden ones too.
    func files() -> Set<String> {
        Set((FileManager.default.enumerator(atPath: folder)?.allObjects ?? []).compactMap { $0 as? String })
    }

    /// A small quick job of this folder: two steps, the first of them optimised.
    var job: [String] {
        [
            "--model", "\(Self.models)/sd1", "--image", path("image.png"), "--mask", path("mask.png"), "--prompt",
            "fox",
            "--steps", "2", "--coherence", "0.5", "--gradient-steps", "1", "--threads", "1",
        ]
    }

    func inpaint(_ arguments: [String], ranks: Int = 1) async throws -> ProgramResult {
        try await run(["inpaint"] + arguments, ranks: ranks)
    }

    func run(_ arguments: [String], ranks: Int = 1) async throws -> ProgramResult {
        ranks == 1
            ? try await Launcher.run("pilot", arguments)
            : try await Launcher.mpirun(ranks: ranks, "pilot", arguments)
    }

    /// A copy of a fixture model in this folder, to be damaged.
    func copyModel(_ name: String = "sd1") throws -> String {
        let copy = path("model")
        try FileManager.default.copyContents(atPath: "\(Self.models)/\(name)", toPath: copy)
        return copy
    }
}

/// The tensors of a safetensors file as float32.
struct TensorFile {
    let tensors: [String: StoredTensor]

    init(_ path: String) throws { tensors = try SafetensorsFile(path: path).tensors }
}
