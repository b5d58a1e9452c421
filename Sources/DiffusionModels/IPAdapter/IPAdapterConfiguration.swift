import Failures
import TensorKernels

/// The shape of an IP-Adapter, as the shapes of its file's tensors tell it.
public struct IPAdapterConfiguration: Sendable, Equatable {
    /// How a picture becomes tokens.
    public enum Kind: Sendable, Equatable {
        /// Its embedding, through a linear layer: so many tokens.
        case linear(tokens: Int)
        /// All its states, each through two linear layers.
        case full
        /// Latents of its own that ask all its states.
        case resampler(ResamplerConfiguration)
    }

    public let kind: Kind
    /// Of what the image encoder gives: its embedding for `linear`, else its states.
    public let encoderWidth: Int
    /// Of the tokens; that of the prompt's states.
    public let contextWidth: Int

    /// How many tokens there are of a picture.
    public func tokens(of encoder: ImageEncoderConfiguration) -> Int {
        switch kind {
        case .linear(let tokens): tokens
        case .full: encoder.tokens
        case .resampler(let resampler): resampler.latents
        }
    }

    /// How many pictures the encoder sees for it: one, and none, whose embedding is known.
    public var picturesSeen: Int { if case .linear = kind { 1 } else { 2 } }

    /// The width of what the encoder gives to such an adapter.
    func width(of encoder: ImageEncoderConfiguration) -> Int {
        if case .linear = kind { return encoder.projectionDimension }
        return encoder.hiddenSize
    }
}

/// The shape of a resampler.
public struct ResamplerConfiguration: Sendable, Equatable {
    public let latents: Int
    public let width: Int
    public let layers: Int
    public let heads: Int
    /// Between the two linear layers of a feed-forward part.
    public let inner: Int

    /// Channels of a head, in all of them.
    static let headWidth = 64
}

extension IPAdapterConfiguration {
    static let prefix = "image_proj."

    /// - Throws: `Failure.badData` naming the key for what is no IP-Adapter, or one for faces' embeddings.
    init(_ file: SafetensorsFile) throws {
        let shapes = MatrixShapes(file: file, prefix: Self.prefix)
        try Self.refuseFaces(file)
        if let rows = try shapes["proj.weight"], let norm = try shapes["norm.weight"] {
            self = try Self.linear(rows, norm, file)
        } else if let norm = try shapes["proj.3.weight"], let first = try shapes["proj.0.weight"] {
            self.init(kind: .full, encoderWidth: first[1], contextWidth: norm[0])
        } else if let latents = try shapes["latents"] {
            self = try Self.resampler(latents, shapes)
        } else {
            throw Failure.badData(
                file: file.path, key: quoted(Self.prefix + "proj.weight"),
                expected: "an IP-Adapter, whose image_proj is linear, a resampler or that of full faces",
                found: "\(file.tensors.count) tensors, among them \(quoted(file.tensors.keys.min() ?? "none"))")
        }
    }

    private static func linear(_ rows: [Int], _ norm: [Int], _ file: SafetensorsFile) throws -> Self {
        guard rows.count == 2, rows[0] % norm[0] == 0 else {
            throw Failure.badData(
                file: file.path, key: quoted(prefix + "proj.weight"),
                expected: "a multiple of \(norm[0]) rows, the width of a token", found: "\(rows)")
        }
        return Self(kind: .linear(tokens: rows[0] / norm[0]), encoderWidth: rows[1], contextWidth: norm[0])
    }

    private static func resampler(_ latents: [Int], _ shapes: MatrixShapes) throws -> Self {
        let head = ResamplerConfiguration.headWidth
        let query = try shapes.required("layers.0.0.to_q.weight")
        guard latents.count == 3, query[0] % head == 0 else {
            throw Failure.badData(
                file: shapes.file.path, key: quoted(prefix + "latents"),
                expected: "three dimensions, and heads of \(head) channels in layers.0.0.to_q",
                found: "\(latents) and \(query)")
        }
        var layers = 0
        while layers < 64, try shapes["layers.\(layers).0.to_q.weight"] != nil { layers += 1 }
        let configuration = ResamplerConfiguration(
            latents: latents[1], width: latents[2], layers: layers, heads: query[0] / head,
            inner: try shapes.required("layers.0.1.1.weight")[0])
        return Self(
            kind: .resampler(configuration), encoderWidth: try shapes.required("proj_in.weight")[1],
            contextWidth: try shapes.required("proj_out.weight")[0])
    }

    private static func refuseFaces(_ file: SafetensorsFile) throws {
        let plain = prefix + "proj.weight"
        let key = file.tensors.keys.filter { name in
            name.hasPrefix(prefix + "perceiver_resampler.") || name.contains("_lora.")
                || (name == prefix + "norm.weight" && file.tensors[plain] == nil)
        }.min()
        guard let key else { return }
        throw Failure.badData(
            file: file.path, key: quoted(key), expected: "an IP-Adapter that sees pictures",
            found: "one of FaceID, which wants a face's embedding of another network (InsightFace)")
    }
}

/// The shapes of a file's matrices and vectors.
private struct MatrixShapes {
    let file: SafetensorsFile
    let prefix: String

    /// - Throws: `Failure.badData` for what has no elements, or more than any adapter has.
    subscript(name: String) -> [Int]? {
        get throws {
            guard let tensor = file.tensors[prefix + name] else { return nil }
            guard (1...3).contains(tensor.shape.count), tensor.shape.allSatisfy(ConfigurationBounds.channels.contains)
            else {
                throw Failure.badData(
                    file: file.path, key: quoted(tensor.name), expected: "a layer's weight", found: "\(tensor.shape)")
            }
            return tensor.shape
        }
    }

    /// A matrix that has to be there.
    func required(_ name: String) throws -> [Int] {
        guard let shape = try self[name], shape.count == 2 else {
            throw Failure.badData(
                file: file.path, key: quoted(prefix + name), expected: "a matrix, as the other layers say",
                found: "none")
        }
        return shape
    }
}
