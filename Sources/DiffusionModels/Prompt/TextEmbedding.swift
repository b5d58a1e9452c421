import Failures
import TensorKernels

/// A textual inversion: vectors that stand in a prompt where their name is.
public struct TextEmbedding: Sendable, Equatable {
    public let name: String
    /// `[count, width]`, row-major.
    public let vectors: [Float]
    public let count: Int

    /// - Precondition: the vectors fill `count` rows.
    public init(name: String, vectors: [Float], count: Int) {
        precondition(count > 0 && vectors.count.isMultiple(of: count), "an embedding's vectors are whole rows")
        self.name = name
        self.vectors = vectors
        self.count = count
    }

    /// Whether two names are one: they are found in any case.
    public static func areEqual(_ first: String, _ second: String) -> Bool { EmbeddingNames.areEqual(first, second) }

    /// The key of AUTOMATIC1111's files, which are called what the embedding is.
    private static let unnamedKey = "emb_params"
    /// The keys of SDXL's files.
    private static let largeKeys = ["clip_l", "clip_g"]

    /// Reads a safetensors file as diffusers writes it, one tensor under the embedding's name, or as AUTOMATIC1111's web
    /// UI does, `emb_params`.
    ///
    /// - Parameters:
    ///   - path: of the file.
    ///   - name: nil for the one that the file gives.
    ///   - encoder: the text encoder that will read the vectors.
    ///   - mostVectors: how many fit into a chunk.
    /// - Throws: `Failure.badData` naming file, key, what was expected and what was found.
    public init(
        path: String, name: String?, encoder: TextEncoderConfiguration, mostVectors: Int
    ) throws {
        let tensor = try Self.tensor(of: path)
        func fault(_ expected: String, _ found: String) -> Failure {
            .badData(file: path, key: quoted(tensor.name), expected: expected, found: found)
        }
        guard tensor.elementType.isNetworkType else { throw fault("F32, F16 or BF16", tensor.elementType.rawValue) }
        guard let width = tensor.shape.last, tensor.shape.count <= 2, tensor.count > 0 else {
            throw fault("a vector [width], or several [n, width]", "the shape \(tensor.shape)")
        }
        guard width == encoder.hiddenSize else {
            throw fault(
                "vectors \(encoder.hiddenSize) wide, as the model's text encoder has them",
                "\(width): the embedding is of another model")
        }
        let count = tensor.count / width
        guard count <= mostVectors else {
            throw fault("at most \(mostVectors) vectors, which a chunk of the prompt has room for", "\(count)")
        }
        if let index = tensor.firstNonFinite { throw fault("finite numbers", "NaN or infinity at element \(index)") }
        let given = tensor.name == Self.unnamedKey ? Self.stem(of: path) : tensor.name
        guard !(name ?? given).allSatisfy(\.isWhitespace) else {
            throw Failure.badData("\(path): gives the embedding no name; give one with --embedding-token")
        }
        self.init(name: name ?? given, vectors: tensor.float32Values(), count: count)
    }

    private static func tensor(of path: String) throws -> StoredTensor {
        let file = try SafetensorsFile(path: path)
        if let key = largeKeys.first(where: { file.tensors[$0] != nil }) {
            throw Failure.badData(
                file: path, key: key, expected: "an embedding for Stable Diffusion 1.x or 2.x",
                found: "one for SDXL, which has two text encoders")
        }
        guard file.tensors.count == 1, let tensor = file.tensors.values.first else {
            let names = file.tensors.keys.sorted().prefix(3).map { quoted($0) }.joined(separator: ", ")
            throw Failure.badData(
                "\(path): expected one tensor, under the embedding's name or \(unnamedKey), found "
                    + "\(file.tensors.count)\(names.isEmpty ? "" : " (\(names)\(file.tensors.count > 3 ? ", …" : ""))"); "
                    + "is it a textual inversion?")
        }
        return tensor
    }

    /// `cat` of `embeddings/cat.safetensors`.
    private static func stem(of path: String) -> String {
        let name = path.split(separator: "/").last ?? ""
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return String(name) }
        return String(name[..<dot])
    }
}
