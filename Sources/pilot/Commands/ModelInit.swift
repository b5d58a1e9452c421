import ArgumentParser
import DiffusionModels
import TensorKernels

/// `pilot model init`
struct ModelInit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Writes a model with random weights in the diffusers layout.",
        usage: "pilot model init --architecture <architecture> --output <dir> [<options>]",
        discussion: """
            The networks have their full size and shape, and paint noise: they are for measuring time and memory, and \
            for trying the commands, without a download. Equal arguments give equal files.
            """)

    @Option(
        help: ArgumentHelp(
            "The networks' shapes: those of Stable Diffusion 1.5 or 2.1, or ones that run in seconds; with -inpaint, "
                + "of a variant whose UNet takes the mask and the masked image, too."))
    var architecture: ModelArchitecture?

    @Option(help: "Determines every weight (default: 0).", transform: whole(0...UInt64.max))
    var seed: UInt64 = 0

    @Option(help: "The format in which weights are stored.")
    var dtype: WeightFormat = .float32

    @Option(
        help: ArgumentHelp("The folder to make; it must not be there yet.", valueName: "dir"), completion: .directory)
    var output: String?

    func run() throws {
        guard let architecture, let output else {
            let names = [architecture == nil ? "--architecture" : nil, output == nil ? "--output" : nil]
            throw MissingOptions.failure(names.compactMap { $0 }, of: "pilot model init")
        }
        // As loading expects them.
        let tensors = ModelTensors(
            unet: architecture.unet, vae: architecture.vae, textEncoder: architecture.textEncoder)
        try RandomModel.write(
            architecture, tensors: tensors, seed: seed, elementType: dtype.stored, to: output)
        try Console.print("\(output): \(architecture.rawValue) with random weights, seed \(seed), \(dtype.rawValue)")
    }
}

/// The formats that networks' weights are stored in.
enum WeightFormat: String, ExpressibleByArgument, CaseIterable {
    case float32, float16, bfloat16

    var stored: StoredElementType {
        switch self {
        case .float32: .float32
        case .float16: .float16
        case .bfloat16: .bfloat16
        }
    }
}

extension ModelArchitecture: ExpressibleByArgument {}
