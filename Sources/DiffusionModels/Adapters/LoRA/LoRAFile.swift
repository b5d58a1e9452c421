import Failures
import TensorKernels

/// A file of a LoRA, or of one of its relatives, read and checked by itself: what it changes of which modules.
public struct LoRAFile: Sendable {
    public let path: String
    /// In the order of their names.
    public let modules: [LoRAModule]
    /// The strings that the file says of itself.
    public let metadata: [String: String]

    /// - Throws: `Failure`: missing input if the file can't be read; bad data, naming the key, if it is no safetensors
    ///   file, is an adapter of another kind, or holds half a pair or numbers that can't be.
    public init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        guard !file.tensors.isEmpty else { throw Failure.badData("\(path): holds no tensors; expected a LoRA") }
        let modules = try Self.parts(of: file)
        let settings = try LoRASettings(file.metadata, file: path)
        self.path = path
        metadata = file.metadata
        self.modules = try modules.keys.sorted().map { name in
            try LoRAModule(name, modules[name, default: [:]], settings: settings, file: path)
        }
        // They were read to be checked, and are read again when they are merged.
        for tensor in file.tensors.values { tensor.releasePages() }
    }

    /// The tensors, by the modules that their keys name.
    private static func parts(of file: SafetensorsFile) throws -> [String: [LoRAPart: StoredTensor]] {
        var modules: [String: [LoRAPart: StoredTensor]] = [:]
        var unknown: [String] = []
        for (key, tensor) in file.tensors.sorted(by: { $0.key < $1.key }) {
            if let kind = LoRAPart.otherKind(of: key) {
                throw Failure.badData(
                    file: file.path, key: quoted(key), expected: "LoRA, LoCon, LoHa, LoKr or DoRA", found: kind)
            }
            guard let (module, part) = LoRAPart.split(key) else {
                unknown.append(key)
                continue
            }
            guard modules[module]?[part] == nil else {
                throw Failure.badData(
                    file: file.path, key: quoted(key), expected: "every factor once",
                    found: "the same of \(quoted(module)) under another name, too")
            }
            modules[module, default: [:]][part] = tensor
        }
        guard unknown.isEmpty else { throw notOfLoRA(unknown, modules.isEmpty, in: file.path) }
        return modules
    }

    private static func notOfLoRA(_ keys: [String], _ isAnother: Bool, in path: String) -> Failure {
        let family = LoRAFamily(names: keys).map { "; it is \($0.description)" } ?? ""
        let expected =
            isAnother
            ? "a LoRA, whose keys end in lora_down.weight, lora_A.weight and the like" : "parts of a LoRA alone"
        return .badData(
            file: path, key: LoRANames.listed(keys), expected: expected,
            found: "\(keys.count) \(keys.count == 1 ? "key" : "keys") of another kind\(family)")
    }
}
