import Failures
import Foundation
import TensorKernels

/// A model in the diffusers layout: a folder with `model_index.json` and one folder per component.
public struct ModelFolder: ModelFiles {
    /// The three networks of Stable Diffusion 1.x and 2.x.
    public enum Component: String, Sendable, CaseIterable {
        case unet = "unet"
        case vae = "vae"
        case textEncoder = "text_encoder"

        /// The class that computes it, as `model_index.json` names it.
        var className: String {
            switch self {
            case .unet: "UNet2DConditionModel"
            case .vae: "AutoencoderKL"
            case .textEncoder: "CLIPTextModel"
            }
        }

        /// The weight files' names up to the variant.
        var weightsName: String { self == .textEncoder ? "model" : "diffusion_pytorch_model" }
    }

    public let path: String

    /// - Throws: `Failure.missingInput` if the folder is not there, `Failure.badData` if it holds another kind of
    ///   model, saying which.
    public init(_ path: String) throws {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        try checkIsFolder()
        if FileManager.default.fileExists(atPath: indexPath) {
            try checkIndex()
        } else {
            try checkFolders()
        }
    }

    /// The folder of a component.
    public func folder(of component: Component) -> String { "\(path)/\(component.rawValue)" }
    /// The folder with `vocab.json` and `merges.txt`.
    public var tokenizerFolder: String { "\(path)/tokenizer" }
    public var schedulerConfigurationPath: String { "\(path)/scheduler/scheduler_config.json" }
    /// The file that describes a component's network.
    public func configurationPath(of component: Component) -> String { "\(folder(of: component))/config.json" }

    public var tokenizer: TokenizerSource { .folder(tokenizerFolder) }
    public var descriptionFiles: [String] {
        Component.allCases.map(configurationPath(of:)) + [schedulerConfigurationPath] + tokenizer.files
    }
    public func has(_ component: Component) -> Bool { true }
    public func uselessKeys() throws -> [String: Int] {
        try Component.allCases.reduce(into: [:]) { counts, component in
            counts.merge(try weights(of: component).uselessKeys, uniquingKeysWith: +)
        }
    }

    /// - Throws: `Failure` naming file, key, expected and found.
    public func schedulerConfiguration() throws -> SchedulerConfiguration {
        try SchedulerConfiguration(contentsOf: URL(fileURLWithPath: schedulerConfigurationPath))
    }

    /// - Throws: `Failure` naming file, key, expected and found.
    public func unetConfiguration() throws -> UNetConfiguration {
        try ConfigurationFile.read(UNetConfiguration.self, from: configurationPath(of: .unet))
    }

    /// - Throws: `Failure` naming file, key, expected and found.
    public func vaeConfiguration() throws -> VAEConfiguration {
        try ConfigurationFile.read(VAEConfiguration.self, from: configurationPath(of: .vae))
    }

    /// - Throws: `Failure` naming file, key, expected and found.
    public func textEncoderConfiguration() throws -> TextEncoderConfiguration {
        try ConfigurationFile.read(TextEncoderConfiguration.self, from: configurationPath(of: .textEncoder))
    }

    /// The component's tensors, mapped and not yet read.
    /// - Throws: `Failure` if the files are not there, not whole, or pickle.
    public func weights(of component: Component) throws -> Checkpoint {
        try Checkpoint(component, in: folder(of: component))
    }

    private var indexPath: String { "\(path)/model_index.json" }
    private static let expectation =
        "expected the diffusers folder of a Stable Diffusion 1.x or 2.x model "
        + "(model_index.json, unet/, vae/, text_encoder/, tokenizer/, scheduler/)"

    private func checkIsFolder() throws {
        guard let kind = FileKind(at: path) else {
            throw Failure.missingInput("\(path): no such folder; \(Self.expectation)")
        }
        if kind == .folder { return }
        let isCheckpoint = [".safetensors", ".ckpt", ".pt", ".bin", ".gguf"].contains { path.hasSuffix($0) }
        let found = isCheckpoint ? "is a single-file checkpoint" : "is a file"
        throw Failure.badData("\(path): \(found); \(Self.expectation)")
    }

    /// `model_index.json` says which classes the components are.
    private func checkIndex() throws {
        let index = try ConfigurationFile.object(from: indexPath)
        let pipeline = index["_class_name"]?.text
        let identity = pipeline.map { "is a \(quoted($0))" } ?? "does not say what it is"
        for component in Component.allCases {
            guard let entry = index[component.rawValue]?.elements, entry.count == 2 else {
                throw Failure.badData("\(indexPath): \(identity) without \(component.rawValue); \(Self.expectation)")
            }
            guard entry[1].text == component.className else {
                throw Failure.badData(
                    "\(indexPath): \(identity) whose \(component.rawValue) is \(entry[1].summary), "
                        + "not a \(component.className); \(Self.expectation)")
            }
        }
        // A second text encoder or a transformer is another architecture, whatever the rest is called.
        for other in ["text_encoder_2", "text_encoder_3", "transformer", "prior", "motion_adapter"] {
            if let entry = index[other]?.elements, entry.contains(where: { $0.text != nil }) {
                throw Failure.badData("\(indexPath): \(identity) with a \(other); \(Self.expectation)")
            }
        }
    }

    /// Without an index the folder is told by its parts.
    private func checkFolders() throws {
        let parts = Component.allCases.map(\.rawValue) + ["tokenizer", "scheduler"]
        let absent = parts.filter { FileKind(at: "\(path)/\($0)") != .folder }
        guard !absent.isEmpty else { return }
        if let config = try? ConfigurationFile.object(from: "\(path)/config.json") {
            let name =
                config["architectures"]?.elements?.first?.text ?? config["_class_name"]?.text
                ?? config["model_type"]?.text
            if let name { throw Failure.badData("\(path): is a \(quoted(name)) alone; \(Self.expectation)") }
        }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        if let single = names.sorted().first(where: { $0.hasSuffix(".safetensors") || $0.hasSuffix(".ckpt") }) {
            throw Failure.badData(
                "\(path): holds the single-file checkpoint \(quoted(single)), which is read if it is named itself; "
                    + Self.expectation)
        }
        throw Failure.badData(
            "\(path): has no model_index.json and no \(absent.joined(separator: "/, "))/; \(Self.expectation)")
    }
}
