import Foundation
import TensorKernels
import TestSupport
import Testing

/// One thing that can be wrong with a job.
struct BadInput: Sendable, CustomTestStringConvertible {
    let name: String
    let exitCode: Int32
    /// What the error's line must contain.
    let mentions: [String]
    var isForTwoRanks = false
    /// Whether the arguments are all there are, and not added to those of a good job.
    var isWholeCommand = false
    /// Damages the files.
    var prepare: @Sendable (PilotRunner) throws -> Void = { _ in }
    var arguments: @Sendable (PilotRunner) -> [String]

    var testDescription: String { name }

    static let all = options + files + models + tensors + outputs

    /// An option with a value that can't be.
    private static func option(_ name: String, _ value: String, _ mention: String? = nil) -> BadInput {
        BadInput(name: "\(name) \(value)", exitCode: 64, mentions: [mention ?? name]) { _ in [name, value] }
    }

    private static let options: [BadInput] =
        [
            option("--steps", "0"), option("--steps", "-3"), option("--steps", "1001"), option("--steps", "many"),
            option("--coherence", "1.01"), option("--coherence", "-0.1"), option("--coherence", "nan"),
            option("--guidance-scale", "inf"), option("--guidance-scale", "-1"), option("--optimize-every", "0"),
            option("--gradient-steps", "0"), option("--learning-rate", "nan"), option("--warmup-learning-rate", "-1"),
            option("--momentum", "1"), option("--lambda", "infinity"), option("--lambda-area", "cubic"),
            option("--mask-downsample", "mean"), option("--seed", "-1"), option("--seed", "1e3"),
            option("--count", "0"), option("--dtype", "float16"), option("--backend", "cuda"),
            option("--threads", "0"), option("--threads", "1.5"), option("--size", "64"), option("--size", "0x64"),
            option("--size", "63x64"), option("--size", "4096x4096"), option("--size", "9999999999x9999999999"),
            option("--feather", "-1"), option("--preset", "best"), option("--method", "paint"),
            option("--mask-grow", "1025"), option("--mask-grow", "2.5"), option("--mask-blur", "-1"),
            option("--colour", "red"),
        ] + [
            // The job's model takes four channels.
            BadInput(
                name: "--method inpaint", exitCode: 64, mentions: ["--method inpaint", "models/sd1 takes 4"],
                isForTwoRanks: true
            ) { _ in ["--method", "inpaint"] },
            BadInput(name: "no image", exitCode: 64, mentions: ["--image"], isWholeCommand: true) { runner in
                ["--mask", "m.png", "--prompt", "fox", "--output", runner.path("out.png")]
            },
            BadInput(name: "no output", exitCode: 64, mentions: ["--output"], isForTwoRanks: true, isWholeCommand: true)
            {
                _ in ["--image", "i.png", "--mask", "m.png", "--prompt", "fox"]
            },
            BadInput(name: "no prompt", exitCode: 64, mentions: ["--prompt"], isWholeCommand: true) { runner in
                ["--image", "i.png", "--mask", "m.png", "--output", runner.path("out.png")]
            },
        ]

    private static let files: [BadInput] = [
        BadInput(name: "image is not there", exitCode: 66, mentions: ["nowhere.png"], isForTwoRanks: true) {
            ["--image", $0.path("nowhere.png")]
        },
        BadInput(name: "image is a folder", exitCode: 66, mentions: ["folder"]) { ["--image", $0.folder] },
        BadInput(
            name: "image is cut short", exitCode: 65, mentions: ["image.png"],
            prepare: { try $0.write($0.contents("image.png").prefix(300), to: "image.png") }, arguments: { _ in [] }),
        BadInput(
            name: "image claims 100,000 x 100,000 pixels", exitCode: 65, mentions: ["image.png", "100000 x 100000"],
            prepare: { try $0.write(hugePNG(of: $0.contents("image.png")), to: "image.png") }, arguments: { _ in [] }),
        BadInput(
            name: "image is text", exitCode: 65, mentions: ["image.png", "text"],
            prepare: { try $0.write("not a picture", to: "image.png") }, arguments: { _ in [] }),
        BadInput(
            name: "JPEG is cut short", exitCode: 65, mentions: ["photo.jpg"],
            prepare: { try $0.write([0xff, 0xd8, 0xff, 0xe0, 0, 16], to: "photo.jpg") },
            arguments: { ["--image", $0.path("photo.jpg")] }),
        BadInput(name: "mask has another aspect", exitCode: 65, mentions: ["mask.png", "aspect"]) { _ in
            ["--mask", "\(PilotRunner.fixtures)/jobs/odd-inverted/mask.png"]
        },
        BadInput(name: "net is not there", exitCode: 66, mentions: ["--control", "nowhere"], isForTwoRanks: true) {
            ["--control", $0.path("nowhere")]
        },
        BadInput(
            name: "net of another model", exitCode: 65,
            mentions: ["config.json", "cross_attention_dim", "another model"],
            isForTwoRanks: true
        ) { _ in ["--control", "\(PilotRunner.controls)/sd2"] },
        BadInput(name: "net is a UNet", exitCode: 65, mentions: ["_class_name", "ControlNetModel"]) { _ in
            ["--control", "\(PilotRunner.models)/sd1/unet"]
        },
        BadInput(
            name: "net is a pickle", exitCode: 65, mentions: ["net.safetensors", "pickle"],
            prepare: { try $0.write([0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 60), to: "net.safetensors") },
            arguments: { ["--control", $0.path("net.safetensors")] }),
        BadInput(name: "map is not there", exitCode: 66, mentions: ["--control-image", "nowhere.png"]) {
            ["--control", "\(PilotRunner.controls)/sd1", "--control-image", $0.path("nowhere.png")]
        },
        BadInput(name: "two scales for three nets", exitCode: 64, mentions: ["--control-scale", "3"]) { _ in
            ["--control", "a", "--control", "b", "--control", "c", "--control-scale", "1", "--control-scale", "2"]
        },
        BadInput(name: "a scale without a net", exitCode: 64, mentions: ["--control-scale", "--control"]) { _ in
            ["--control-scale", "1"]
        },
        BadInput(name: "a range that runs backwards", exitCode: 64, mentions: ["--control-range", "0.8"]) { _ in
            ["--control", "\(PilotRunner.controls)/sd1", "--control-range", "0.8:0.2"]
        },
        BadInput(name: "a scale that is no number", exitCode: 64, mentions: ["--control-scale"]) { _ in
            ["--control", "\(PilotRunner.controls)/sd1", "--control-scale", "nan"]
        },
        BadInput(name: "adapter is not there", exitCode: 66, mentions: ["--t2i-adapter", "nowhere"]) {
            ["--t2i-adapter", $0.path("nowhere")]
        },
        BadInput(
            name: "adapter of another model", exitCode: 65, mentions: ["config.json", "channels", "another model"],
            isForTwoRanks: true
        ) { _ in ["--t2i-adapter", "\(PilotRunner.adapters)/inpaint"] },
        BadInput(
            name: "adapter for maps of another size", exitCode: 65, mentions: ["downscale_factor", "another model"]
        ) { _ in ["--t2i-adapter", "\(PilotRunner.adapters)/sd2"] },
        BadInput(name: "adapter is a net", exitCode: 65, mentions: ["_class_name", "T2IAdapter"]) { _ in
            ["--t2i-adapter", "\(PilotRunner.controls)/sd1"]
        },
        BadInput(
            name: "adapter is a pickle", exitCode: 65, mentions: ["adapter.pth", "pickle"],
            prepare: { try $0.write([0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 60), to: "adapter.pth") },
            arguments: { ["--t2i-adapter", $0.path("adapter.pth")] }),
        BadInput(name: "adapter's map is not there", exitCode: 66, mentions: ["--t2i-adapter-image", "nowhere.png"]) {
            ["--t2i-adapter", "\(PilotRunner.adapters)/sd1", "--t2i-adapter-image", $0.path("nowhere.png")]
        },
        BadInput(name: "a range without an adapter", exitCode: 64, mentions: ["--t2i-adapter-range", "--t2i-adapter"]) {
            _ in ["--t2i-adapter-range", "0:1"]
        },
        BadInput(name: "an adapter's range that runs backwards", exitCode: 64, mentions: ["--t2i-adapter-range"]) { _ in
            ["--t2i-adapter", "\(PilotRunner.adapters)/sd1", "--t2i-adapter-range", "0.8:0.2"]
        },
        BadInput(name: "an adapter's scale that is no number", exitCode: 64, mentions: ["--t2i-adapter-scale"]) { _ in
            ["--t2i-adapter", "\(PilotRunner.adapters)/sd1", "--t2i-adapter-scale", "inf"]
        },
        BadInput(name: "image adapter is not there", exitCode: 66, mentions: ["--ip-adapter", "nowhere"]) {
            ["--ip-adapter", $0.path("nowhere"), "--ip-adapter-image", $0.path("image.png")]
        },
        BadInput(
            name: "image adapter of another model", exitCode: 65,
            mentions: ["sd2.safetensors", "24", "40", "another model"],
            isForTwoRanks: true
        ) {
            [
                "--ip-adapter", "\(PilotRunner.imageAdapters)/sd2.safetensors", "--ip-adapter-image",
                $0.path("image.png"),
            ]
        },
        BadInput(
            name: "image adapter is a pickle", exitCode: 65, mentions: ["adapter.bin", "pickle"],
            prepare: { try $0.write([0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 60), to: "adapter.bin") },
            arguments: { ["--ip-adapter", $0.path("adapter.bin"), "--ip-adapter-image", $0.path("image.png")] }),
        BadInput(name: "image adapter without a picture", exitCode: 64, mentions: ["--ip-adapter-image"]) { _ in
            ["--ip-adapter", "\(PilotRunner.imageAdapters)/sd1.safetensors"]
        },
        BadInput(name: "its picture is not there", exitCode: 66, mentions: ["--ip-adapter-image", "nowhere.png"]) {
            [
                "--ip-adapter", "\(PilotRunner.imageAdapters)/sd1.safetensors", "--ip-adapter-image",
                $0.path("nowhere.png"),
            ]
        },
        BadInput(name: "an encoder without an adapter", exitCode: 64, mentions: ["--image-encoder", "--ip-adapter"]) {
            _ in ["--image-encoder", "\(PilotRunner.imageAdapters)/image_encoder"]
        },
        BadInput(
            name: "no encoder beside the adapter", exitCode: 66, mentions: ["image_encoder", "--image-encoder"],
            prepare: {
                try FileManager.default.copyContents(
                    atPath: "\(PilotRunner.imageAdapters)/sd1.safetensors", toPath: $0.path("adapter.safetensors"))
            },
            arguments: { ["--ip-adapter", $0.path("adapter.safetensors"), "--ip-adapter-image", $0.path("image.png")] }),
        BadInput(
            name: "an encoder of another width", exitCode: 65,
            mentions: ["sd1.safetensors", "12 channels", "16", "encoder"],
            prepare: { runner in
                try FileManager.default.copyContents(
                    atPath: "\(PilotRunner.imageAdapters)/image_encoder", toPath: runner.path("encoder"))
                let config = String(decoding: try runner.contents("encoder/config.json"), as: UTF8.self)
                try runner.write(
                    config.replacingOccurrences(of: "\"projection_dim\": 12", with: "\"projection_dim\": 16"),
                    to: "encoder/config.json")
            },
            arguments: {
                [
                    "--ip-adapter", "\(PilotRunner.imageAdapters)/sd1.safetensors", "--ip-adapter-image",
                    $0.path("image.png"), "--image-encoder", $0.path("encoder"),
                ]
            }),
        BadInput(
            name: "the text encoder for pictures", exitCode: 65,
            mentions: ["architectures", "CLIPVisionModelWithProjection"]
        ) {
            [
                "--ip-adapter", "\(PilotRunner.imageAdapters)/sd1.safetensors", "--ip-adapter-image",
                $0.path("image.png"),
                "--image-encoder", "\(PilotRunner.models)/sd1/text_encoder",
            ]
        },
        BadInput(name: "an image adapter's scale that is no number", exitCode: 64, mentions: ["--ip-adapter-scale"]) {
            [
                "--ip-adapter", "\(PilotRunner.imageAdapters)/sd1.safetensors", "--ip-adapter-image",
                $0.path("image.png"),
                "--ip-adapter-scale", "nan",
            ]
        },
        BadInput(
            name: "image has no alpha channel", exitCode: 65, mentions: ["--mask alpha", "image.png", "./alpha"],
            isForTwoRanks: true
        ) { _ in ["--mask", "alpha"] },
        BadInput(name: "recorded job without a record", exitCode: 65, mentions: ["--from", "image.png"]) {
            ["--from", $0.path("image.png")]
        },
        BadInput(name: "recorded job is not there", exitCode: 66, mentions: ["nowhere.png"]) {
            ["--from", $0.path("nowhere.png")]
        },
    ]

    /// The picture's header with other sides and a checksum that fits.
    private static func hugePNG(of file: Data) -> [UInt8] {
        var bytes = [UInt8](file)
        let side: [UInt8] = [0, 0x01, 0x86, 0xa0]
        bytes.replaceSubrange(16..<24, with: side + side)
        var checksum = UInt32.max
        for byte in bytes[12..<29] {
            checksum ^= UInt32(byte)
            for _ in 0..<8 { checksum = checksum & 1 == 1 ? checksum >> 1 ^ 0xedb8_8320 : checksum >> 1 }
        }
        checksum = ~checksum
        bytes.replaceSubrange(
            29..<33, with: (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (24 - 8 * UInt32($0))) })
        return bytes
    }

    private static let outputs: [BadInput] = [
        BadInput(name: "output's folder is not there", exitCode: 74, mentions: ["nowhere"], isForTwoRanks: true) {
            ["--output", $0.path("nowhere/out.png")]
        },
        BadInput(name: "output is a folder", exitCode: 74, mentions: ["folder"]) { ["--output", $0.folder] },
        BadInput(name: "output is a GIF", exitCode: 64, mentions: ["--output", ".png, .jpg or .webp"]) {
            ["--output", $0.path("out.gif")]
        },
        BadInput(name: "padding is none", exitCode: 64, mentions: ["--area-padding", "50%"]) { _ in
            ["--area-padding", "much"]
        },
        BadInput(name: "padding without cuts", exitCode: 64, mentions: ["--area whole"]) { _ in
            ["--area", "whole", "--area-padding", "20"]
        },
        BadInput(name: "output is the image", exitCode: 64, mentions: ["image.png"]) {
            ["--output", $0.path("image.png")]
        },
        BadInput(name: "dump's folder is not there", exitCode: 74, mentions: ["nowhere"]) {
            ["--dump", $0.path("nowhere/dump.safetensors")]
        },
        BadInput(name: "preview's folder has no parent", exitCode: 74, mentions: ["nowhere"]) {
            ["--preview", $0.path("nowhere/previews")]
        },
        BadInput(name: "disk is full", exitCode: 74, mentions: ["/dev/full"], isForTwoRanks: true) { _ in
            ["--output", "/dev/full"]
        },
    ]
}
