import Failures
import Foundation
import TensorKernels

/// The stored tensors of one component of a model, from one file or from many.
public struct Checkpoint: Sendable {
    public let component: ModelFolder.Component
    /// The file, or the index of the files, that the tensors come from.
    public let location: String
    /// The files the tensors lie in.
    public let files: [String]
    /// By their names in the files.
    public let tensors: [String: StoredTensor]
    /// How the files name what layers ask for.
    public let naming: any TensorNaming
    /// What says which tensors there are to be, as messages put it: "its config.json describes".
    let expectation: String

    /// The bytes of all tensors.
    public var byteCount: Int { tensors.values.reduce(0) { $0 + $1.byteCount } }
    /// The elements of all tensors.
    public var parameterCount: Int { tensors.values.reduce(0) { $0 + $1.count } }

    /// Finds the weights in `folder`: the plain files before those of the `fp16` variant, one file before shards.
    ///
    /// - Parameter naming: nil for diffusers' names of the component.
    /// - Throws: `Failure.missingInput` if there are none, or a shard is not there; `Failure.badData` if a file is not
    ///   well formed, if index and shards disagree, or if there are only pickle files.
    init(_ component: ModelFolder.Component, in folder: String, naming: (any TensorNaming)? = nil) throws {
        let base = component.weightsName
        for variant in ["", ".fp16"] {
            let single = "\(folder)/\(base)\(variant).safetensors"
            if FileManager.default.fileExists(atPath: single) {
                self.init(component, location: single, files: [try SafetensorsFile(path: single)], naming)
                return
            }
            let index = "\(folder)/\(base).safetensors.index\(variant).json"
            if FileManager.default.fileExists(atPath: index) {
                self.init(component, location: index, files: try Self.shards(of: index, in: folder), naming)
                return
            }
        }
        throw Self.noWeights(base, in: folder)
    }

    private init(
        _ component: ModelFolder.Component, location: String, files: [SafetensorsFile], _ naming: (any TensorNaming)?
    ) {
        self.component = component
        self.location = location
        self.files = files.map(\.path)
        self.tensors = files.reduce(into: [:]) { all, file in all.merge(file.tensors) { first, _ in first } }
        self.naming = naming ?? DiffusersNaming(component: component)
        expectation = "its config.json describes"
    }

    /// The part of a single file that is one component.
    init(
        _ component: ModelFolder.Component, of file: SafetensorsFile, tensors: [String: StoredTensor],
        naming: any TensorNaming, expectation: String
    ) {
        self.component = component
        location = file.path
        files = [file.path]
        self.tensors = tensors
        self.naming = naming
        self.expectation = expectation
    }

    /// How many tensors there are that are known to be of no use, by the patterns of their names.
    var uselessKeys: [String: Int] {
        tensors.keys.reduce(into: [:]) { counts, name in
            if let pattern = naming.uselessPattern(of: name) { counts[pattern, default: 0] += 1 }
        }
    }

    private static func shards(of index: String, in folder: String) throws -> [SafetensorsFile] {
        guard case .object(let map)? = try ConfigurationFile.object(from: index)["weight_map"], !map.isEmpty else {
            throw Failure.badData(
                file: index, key: "weight_map", expected: "an object of tensor names and file names", found: "none")
        }
        var keysOfFile: [String: Set<String>] = [:]
        for (key, value) in map {
            guard let name = value.text, isPlainFileName(name) else {
                throw Failure.badData(
                    file: index, key: "weight_map.\(quoted(key))",
                    expected: "the name of a .safetensors file in the same folder", found: value.summary)
            }
            keysOfFile[name, default: []].insert(key)
        }
        let names = keysOfFile.keys.sorted()
        let absent = names.filter { !FileManager.default.fileExists(atPath: "\(folder)/\($0)") }
        guard absent.isEmpty else {
            throw Failure.missingInput(
                "\(index): \(absent.count) of its \(names.count) files are not there: "
                    + absent.prefix(10).joined(separator: ", "))
        }
        return try names.map { name in
            let file = try SafetensorsFile(path: "\(folder)/\(name)")
            try check(file, holds: keysOfFile[name] ?? [], accordingTo: index)
            return file
        }
    }

    private static func check(_ file: SafetensorsFile, holds keys: Set<String>, accordingTo index: String) throws {
        if let lost = keys.subtracting(file.tensors.keys).min() {
            throw Failure.badData("\(file.path): has no tensor \(quoted(lost)), which \(index) says it holds")
        }
        if let extra = Set(file.tensors.keys).subtracting(keys).min() {
            throw Failure.badData("\(file.path): holds the tensor \(quoted(extra)), which \(index) does not say")
        }
    }

    // A stranger's index must not lead out of the folder.
    private static func isPlainFileName(_ name: String) -> Bool {
        name.hasSuffix(".safetensors") && !name.hasPrefix(".") && !name.contains("/")
            && quoted(name) == "\"\(name)\""
    }

    private static func noWeights(_ base: String, in folder: String) -> Failure {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let pickles = names.filter { name in [".bin", ".pt", ".pth", ".ckpt"].contains { name.hasSuffix($0) } }.sorted()
        if let pickle = pickles.first {
            return .badData(
                "\(folder)/\(pickle): is a pickle checkpoint, which can run programs when it is read and is never read "
                    + "here; convert it to safetensors (\(base).safetensors)")
        }
        return .missingInput("\(folder): no weights; expected \(base).safetensors, or its shards with their index")
    }
}
