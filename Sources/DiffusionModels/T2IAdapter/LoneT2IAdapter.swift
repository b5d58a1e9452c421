import Failures
import TensorKernels

/// What the shapes of a lone file's tensors tell of its T2I-Adapter.
struct LoneT2IAdapter {
    let configuration: T2IAdapterConfiguration
    let hasDiffusersNames: Bool

    /// The first layer of a T2I-Adapter, full or light.
    private static let entries = (full: "conv_in.weight", light: "body.0.in_conv.weight")
    private static let prefix = "adapter."

    /// - Parameter levels: of the UNet it is to act on.
    /// - Throws: `Failure.badData` for what is no adapter.
    init(_ file: SafetensorsFile, levels: Int) throws {
        let prefix = file.tensors.keys.contains { $0.hasPrefix(Self.prefix) } ? Self.prefix : ""
        hasDiffusersNames = !prefix.isEmpty
        let shapes = ConvolutionShapes(file: file, prefix: prefix)
        let isFull = try shapes[Self.entries.full] != nil
        guard let entry = try shapes[isFull ? Self.entries.full : Self.entries.light] else {
            throw Self.noAdapter(in: file)
        }
        let body =
            isFull && !hasDiffusersNames
            ? try Self.flatBody(shapes, levels: levels)
            : try Self.nestedBody(shapes, isFull: isFull, blocks: hasDiffusersNames ? "resnets" : "body")
        let (mapChannels, factor) = try Self.square(entry[1], file)
        configuration = T2IAdapterConfiguration(
            kind: isFull ? .full : .light, mapChannels: mapChannels, channels: body.channels,
            blocksPerLevel: body.blocksPerLevel, downsamplingFactor: factor)
    }

    private typealias Body = (channels: [Int], blocksPerLevel: Int)

    /// Of the original full adapter, whose residual blocks stand in one row.
    private static func flatBody(_ shapes: ConvolutionShapes, levels: Int) throws -> Body {
        func name(_ block: Int) -> String { "body.\(block).block1.weight" }
        let count = try shapes.count(name)
        guard count > 0 else { throw noAdapter(in: shapes.file) }
        guard count % levels == 0 else {
            throw Failure.badData(
                file: shapes.file.path, key: quoted("body"),
                expected: "as many residual blocks for each of the \(levels) levels of the model's UNet",
                found: "\(count) of them; the adapter is for another model")
        }
        let perLevel = count / levels
        return (try (0..<levels).compactMap { try shapes[name($0 * perLevel)]?[0] }, perLevel)
    }

    /// - Parameter blocks: what the residual blocks of a level are called.
    private static func nestedBody(_ shapes: ConvolutionShapes, isFull: Bool, blocks: String) throws -> Body {
        func name(_ level: Int) -> String {
            isFull ? "body.\(level).\(blocks).0.block1.weight" : "body.\(level).out_conv.weight"
        }
        let levels = try shapes.count(name)
        let perLevel = try shapes.count { "body.0.\(blocks).\($0).block1.weight" }
        guard levels > 0, perLevel > 0 else { throw noAdapter(in: shapes.file) }
        return (try (0..<levels).compactMap { try shapes[name($0)]?[0] }, perLevel)
    }

    /// The channels of a map, and the side of its squares, by the numbers in one: a power of four, or three times one.
    private static func square(_ count: Int, _ file: SafetensorsFile) throws -> (channels: Int, factor: Int) {
        for channels in T2IAdapterConfiguration.mapChannelCounts {
            for factor in (0...6).map({ 1 << $0 }) where channels * factor * factor == count {
                return (channels, factor)
            }
        }
        throw Failure.badData(
            file: file.path, key: "the first layer's inputs",
            expected: "as many as a map's square of pixels has numbers, 192 or 64", found: "\(count)")
    }

    private static func noAdapter(in file: SafetensorsFile) -> Failure {
        .badData(
            file: file.path, key: quoted(entries.full),
            expected: "a T2I-Adapter, in diffusers' names (\(prefix)\(entries.full)) or the original's",
            found: "\(file.tensors.count) tensors, among them \(quoted(file.tensors.keys.min() ?? "none"))")
    }
}

/// The shapes of a file's convolutions.
private struct ConvolutionShapes {
    let file: SafetensorsFile
    let prefix: String

    /// More than any adapter has of anything.
    private static let most = 1024

    /// - Throws: `Failure.badData` for what can't be a convolution's weight.
    subscript(name: String) -> [Int]? {
        get throws {
            guard let tensor = file.tensors[prefix + name] else { return nil }
            guard tensor.shape.count == 4, tensor.shape.allSatisfy(ConfigurationBounds.channels.contains) else {
                throw Failure.badData(
                    file: file.path, key: quoted(tensor.name), expected: "a convolution's four dimensions",
                    found: "\(tensor.shape)")
            }
            return tensor.shape
        }
    }

    /// How many there are of these names, from 0 on.
    func count(_ name: (Int) -> String) throws -> Int {
        var count = 0
        while count < Self.most, try self[name(count)] != nil { count += 1 }
        return count
    }
}
