import DiffusionModels
import Failures
import Foundation
import InpaintingJobs
import PilotInpainting
import TensorKernels
import Testing

/// One thing that can be wrong with a job's line.
struct BadLine: Sendable, CustomTestStringConvertible {
    /// `DIR` stands for the test's folder.
    let text: String
    let mentions: [String]
    var kind = Failure.Kind.badData

    var testDescription: String { text }

    init(_ text: String, _ mentions: String..., kind: Failure.Kind = .badData) {
        self.text = text
        self.mentions = mentions
        self.kind = kind
    }

    static let all: [BadLine] = [
        BadLine("fox", "not valid JSON"), BadLine(#"{"output": "a.png""#, "not valid JSON", "expected ',' or '}'"),
        BadLine(#"{"output": "a.png"} {}"#, "not valid JSON"), BadLine(#"["a.png"]"#, "JSON object"),
        BadLine("null", "JSON object"), BadLine(#"{"output": "a.png", "seed": +1}"#, "not valid JSON"),
        BadLine(#"{"output": "a.png", "seed": 01}"#, "not valid JSON"),
        BadLine(#"{"output": "a.png", "coherence": .5}"#, "not valid JSON"),
        BadLine(String(repeating: "[", count: 100_000), "nested"),
        BadLine(#"{"output": "a.png", "colour": "red"}"#, "unknown key \"colour\"", "negative_prompt"),
        BadLine(#"{"output": "a.png", "negative-prompt": "x"}"#, "\"negative-prompt\"", "so negative_prompt"),
        BadLine(#"{"output": "a.png", "threads": 2}"#, "\"threads\"", "give it as an option"),
        BadLine(#"{"output": "a.png", "seed": 1, "seed": 2}"#, "\"seed\" is there twice"),
        BadLine(#"{"prompt": "fox"}"#, "output: missing"),
        BadLine(#"{"output": 7}"#, "output: expected a text, found 7"),
        BadLine(#"{"output": "a.png", "prompt": null}"#, "prompt: expected a text, found null"),
        BadLine(#"{"output": "a.png", "steps": "50"}"#, "steps: expected a whole number"),
        BadLine(#"{"output": "a.png", "steps": 2.5}"#, "steps: expected a whole number from 1 to 100000, found 2.5"),
        BadLine(#"{"output": "a.png", "steps": 99999999999999999999}"#, "steps: expected a whole number"),
        BadLine(#"{"output": "a.png", "steps": 0}"#, "steps: expected 1 to", kind: .usage),
        BadLine(#"{"output": "a.png", "steps": 1001}"#, "steps", kind: .usage),
        BadLine(#"{"output": "a.png", "seed": -1}"#, "seed: expected a whole number from 0"),
        BadLine(#"{"output": "a.png", "coherence": 1.5}"#, "coherence", kind: .usage),
        BadLine(#"{"output": "a.png", "coherence": 1e999}"#, "coherence", kind: .usage),
        BadLine(#"{"output": "a.png", "paste": 1}"#, "paste: expected true or false, found 1"),
        BadLine(#"{"output": "a.png", "preset": "best"}"#, #"preset: expected "paper" or "balanced" or "fast""#),
        BadLine(#"{"output": "a.png", "size": "63x64"}"#, "size", kind: .usage),
        BadLine(#"{"output": "a.png", "size": "64"}"#, "size: expected a text such as"),
        BadLine(#"{"output": "a.png", "size": "9999999999x9999999999"}"#, "size", kind: .usage),
        BadLine(#"{"output": "a.png", "feather": -1}"#, "feather", kind: .usage),
        BadLine(#"{"output": "a.png", "count": 0}"#, "count", kind: .usage),
        BadLine(#"{"output": "a.png", "count": 10001}"#, "count", kind: .usage),
        BadLine(#"{"output": "a.png", "model": "DIR"}"#, "model: a batch has one model"),
        BadLine(#"{"output": "a.png", "lora": "s"}"#, "lora: expected a list of objects"),
        BadLine(
            #"{"output": "a.png", "lora": [{"scale": 1}]}"#, "lora: unknown key \"scale\"; expected lora, lora_scale"),
        BadLine(#"{"output": "a.png", "lora": [{"lora": "s", "lora_scale": "x"}]}"#, "lora_scale: expected a number"),
        BadLine(#"{"output": "a.png", "lora": [{"lora": "s"}]}"#, "a batch has one model, with one list of LoRAs"),
        BadLine(#"{"output": "a.png", "vae": "DIR"}"#, "a batch has one model, with one list of LoRAs"),
        BadLine(#"{"output": "a.png", "dtype": "bfloat16"}"#, "a batch computes in one way", "bfloat16"),
        BadLine(#"{"output": "a.png", "image": "DIR/nowhere.png"}"#, "image", "no such file", kind: .missingInput),
        BadLine(#"{"output": "a.png", "mask": "DIR"}"#, "mask", "folder", kind: .missingInput),
        BadLine(#"{"output": "a.png", "mask": ""}"#, "mask", "no such file", kind: .missingInput),
        BadLine(#"{"output": "a.png", "image": "DIR/image.png\u0000"}"#, "image", "no such", kind: .missingInput),
        BadLine(#"{"output": "a.png", "initial_latent": "/dev/null"}"#, "initial_latent", kind: .missingInput),
        BadLine(#"{"output": "a.png", "prompt": "[a|b]"}"#, "--prompt", "--prompt-syntax plain", kind: .usage),
        BadLine(#"{"output": "a.png", "negative_prompt": "a AND b"}"#, "--negative-prompt", kind: .usage),
        BadLine(#"{"output": "a.png", "prompt_syntax": "compel"}"#, #"prompt_syntax: expected "a1111" or "plain""#),
        BadLine(#"{"output": "a.png", "embedding": "a.safetensors"}"#, "embedding: expected a list of objects"),
        BadLine(#"{"output": "a.png", "embedding": [{"file": "a"}]}"#, "embedding: unknown key \"file\""),
        BadLine(#"{"output": "a.png", "embedding": [{}]}"#, "embedding: expected a text, found null"),
        BadLine(
            #"{"output": "a.png", "embedding": [{"embedding": "DIR/no"}]}"#, "embedding", "no such file",
            kind: .missingInput),
        BadLine(#"{"output": "a.png", "embedding": [{"embedding": "DIR/mask.png"}]}"#, "mask.png", "safetensors"),
        BadLine(#"{"output": "a.png", "from": "DIR/image.png"}"#, "holds no record"),
        BadLine(#"{"output": "a.png", "from": "DIR/no.png"}"#, "no.png", kind: .missingInput),
        BadLine(#"{"output": "../a.png"}"#, "../a.png", "leads outside"),
        BadLine(#"{"output": "DIR/a.png"}"#, "leads outside"),
        BadLine(#"{"output": "b/../../a.png"}"#, "leads outside"),
        BadLine(#"{"output": "link/a.png"}"#, "out/link is a link"),
        BadLine(#"{"output": "linked.png"}"#, "a folder, a link or a device"),
        BadLine(#"{"output": "."}"#, "expected the name of a file"), BadLine(#"{"output": ""}"#, "expected the name"),
        BadLine(#"{"output": "b/"}"#, "expected the name"), BadLine(#"{"output": "a\u0000.png"}"#, "expected the name"),
        BadLine(#"{"output": "a.png", "dump": "/tmp/a.safetensors"}"#, "dump: expected the name", "leads outside"),
        BadLine(#"{"output": "a.png", "preview": "../x"}"#, "preview", "leads outside"),
        BadLine(#"{"output": "a.png", "preview": "link"}"#, "preview", "a link to one"),
        BadLine(#"{"output": "a.png", "preview": "link/x"}"#, "preview", "out/link is a link"),
        BadLine(#"{"output": "a.gif"}"#, "a.gif", "PNG, JPEG or WebP", kind: .usage),
        BadLine(#"{"output": "a.jpg", "jpeg_quality": 0}"#, "quality", kind: .usage),
        BadLine(#"{"output": "a.jpg", "quality": 101}"#, "quality", "1 to 100", kind: .usage),
        BadLine(#"{"output": "a.jpg", "jpeg_quality": "95"}"#, "jpeg_quality: expected a whole number"),
        BadLine(#"{"output": "a.png", "compare": "a.jpg"}"#, "a.jpg", "comparisons are PNG files", kind: .usage),
        BadLine(#"{"output": "a.png", "area": "hole"}"#, #"area: expected "auto" or "whole" or "mask", found"#),
        BadLine(#"{"output": "a.png", "area_padding": "5.5"}"#, "area_padding: expected pixels from 0"),
        BadLine(#"{"output": "a.png", "area_padding": -1}"#, "area_padding: expected pixels from 0"),
        BadLine(#"{"output": "a.png", "area_each": 1}"#, "area_each: expected true or false"),
        BadLine(#"{"output": "a.png", "area": "whole", "area_each": true}"#, "area", "whole", kind: .usage),
        BadLine(#"{"output": "a.png", "compare": "a.png"}"#, "the same file", kind: .usage),
        BadLine(#"{"output": "a.png", "compare": "./a.png"}"#, "the same file", kind: .usage),
        BadLine(#"{"output": "good.png"}"#, "good.png", "of line 1"),
        BadLine(#"{"output": "./b//good.png"}"#, "good.png", "of line 2"),
        BadLine(#"{"output": "a.png", "dump": "good.png"}"#, "of line 1"),
        BadLine(#"{"output": "good.png/a.png"}"#, "a folder here and a file in line 1"),
        BadLine(#"{"output": "b"}"#, "a file here and a folder in line 2"),
        BadLine(#"{"output": "sheet.png"}"#, "the name of the sheet"),
        BadLine(#"{"output": "used.png"}"#, "used.png", "an input of line 3"),
        BadLine(#"{"output": "a.png", "mask": "DIR/out/there.png"}"#, "an input here and an output of line 4"),
    ]
}

@Suite struct BatchLineTests {
    /// Three good lines come first, and one after.
    private static let good = [
        #"{"output": "good.png"}"#, #"{"output": "b/good.png", "prompt": "é \ud83e\udd8a"}"#,
        #"{"output": "c/good.png", "mask": "DIR/out/used.png"}"#, #"{"output": "there.png"}"#,
    ]

    private func setup(_ folder: BatchFolder, _ lines: [String]) throws -> BatchSetup {
        let out = folder.file("out")
        try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: folder.file("image.png"), toPath: out + "/used.png")
        try FileManager.default.createSymbolicLink(atPath: out + "/link", withDestinationPath: folder.path)
        try FileManager.default.createSymbolicLink(
            atPath: out + "/linked.png", withDestinationPath: folder.file("outside.png"))
        // An output that is there, and is line 4's: so that it can be an input, too.
        var setup = try folder.setup([Self.good[3]])
        setup.overwrites = true
        setup.reserved = [out + "/sheet.png"]
        try Data(lines.joined(separator: "\n").replacing("DIR", with: folder.path).utf8)
            .write(to: URL(filePath: folder.file("jobs.jsonl")))
        return setup
    }

    @Test(arguments: BadLine.all)
    func isRefusedWithItsNumber(bad: BadLine) async throws {
        let folder = try BatchFolder()
        let first = try setup(folder, [Self.good[3]])
        try await folder.run(first)
        let before = folder.outputs
        try Data(
            (Self.good + [bad.text, "", #"{"output": "last.png"}"#]).joined(separator: "\n")
                .replacing("DIR", with: folder.path).utf8
        ).write(to: URL(filePath: folder.file("jobs.jsonl")))
        var setup = first
        let log = EventLog()
        do {
            try await folder.run(setup, log: log)
            Issue.record("was run")
        } catch let failure as Failure {
            #expect(failure.kind == bad.kind)
            for part in ["jobs.jsonl line 5: ", "nothing was begun"] + bad.mentions {
                #expect(failure.message.contains(part), "\(part) in \(failure)")
            }
            #expect(!failure.message.contains("\n"))
        }
        #expect(log.starts == 0 && log.refusals.count == 1)
        #expect(folder.outputs == before)

        setup.keepsGoing = true
        let outcome = try await folder.run(setup)
        #expect(outcome.entries.map(\.result.line) == [1, 2, 3, 4, 5, 7])
        #expect(
            outcome.entries.map(\.result.status) == [.done, .done, .done, .present, .refused, .done],
            "\(outcome.entries.map(\.result))")
        #expect(outcome.firstFailure?.kind == bad.kind && outcome.failureCount == 1)
    }

    @Test func allAreToldAtOnce() async throws {
        let folder = try BatchFolder()
        let long = #"{"output": "a.png", "prompt": "\#(String(repeating: "x", count: LineReader.longestLine))"}"#
        let log = EventLog()
        let setup = try folder.setup(["x", Self.good[0], long, "{}", #"{"output": "/a.png"}"#])
        do {
            try await folder.run(setup, log: log)
            Issue.record("was run")
        } catch let failure as Failure {
            #expect(failure.message.contains("4 lines can't be run, the first is line 1"))
        }
        #expect(
            log.refusals.map { $0.components(separatedBy: "jobs.jsonl line ").last?.prefix(2) } == [
                "1:", "3:", "4:", "5:",
            ])
        #expect(log.refusals[1].contains("1048576 bytes at most"))
        #expect(!FileManager.default.fileExists(atPath: folder.file("out")))
    }

    @Test func everyOptionHasAKey() throws {
        let line = """
            {"model": "m", "model_config": "f", "vae": "a", "prediction": "v_prediction", "clip_skip": 2, \
            "prompt_syntax": "plain", "prompt_rescale": false, \
            "embedding": [{"embedding": "e"}, {"embedding": "f", "embedding_token": "<f>"}], \
            "lora": [{"lora": "s", "lora_scale": -0.5, "lora_text_scale": 0}, {"lora": "t"}], \
            "control": [{"control": "c", "control_image": "ci", "control_scale": 0.5, "control_range": "0:0.5", \
            "control_preprocess": "canny", "control_mode": "guess", "control_background": "canny"}], \
            "t2i_adapter": [{"t2i_adapter": "ta", "t2i_adapter_image": "ti", "t2i_adapter_scale": -0.5, \
            "t2i_adapter_range": "0.25:1", "t2i_adapter_preprocess": "tile"}], \
            "ip_adapter": [{"ip_adapter": "pa", "ip_adapter_image": "pi", "ip_adapter_scale": 0.25, \
            "ip_adapter_fit": "squash"}], "image_encoder": "ie", \
            "image": "i", "mask": "k", "prompt": "p", "negative_prompt": "n", "invert_mask": true, "size": "64x48", \
            "initial_latent": "l", "output": "o", "count": 2, "paste": false, "feather": 1, "compare": "c", \
            "preview": "v", "dump": "d", "steps": 7, "preset": "paper", "guidance_scale": 1.5, \
            "coherence": 0, "optimize_every": 3, "gradient_steps": 4, "learning_rate": 1e-2, \
            "warmup_learning_rate": 0.5, "momentum": 0.25, "lambda": 8, "lambda_area": "linear", \
            "cross_attention_mask": false, "self_attention_mask": false, "mask_downsample": "max", "method": "inpaint", \
            "mask_grow": -3, "mask_blur": 6, "area": "mask", "area_padding": "7%", "area_each": true, \
            "quality": 80, "jpeg_quality": 80, \
            "seed": 18446744073709551615, "dtype": "bfloat16", "backend": "openblas", "paths": false}
            """
        let (draft, recorded) = try JobDraft.read(Array(line.utf8), defaults: JobDraft(model: "x"))
        #expect(recorded == nil && draft.missing.isEmpty)
        var expected = JobSettings(model: "m", image: "i", mask: "k", prompt: "p")
        (expected.negativePrompt, expected.invertsMask, expected.size) = ("n", true, PictureSize("64x48"))
        (expected.modelConfiguration, expected.autoencoder, expected.prediction) = ("f", "a", .velocity)
        expected.clipSkip = 2
        (expected.promptSyntax, expected.restoresPromptMean) = (nil, false)
        expected.embedding = [EmbeddingChoice(file: "e"), EmbeddingChoice(file: "f", token: "<f>")]
        expected.lora = [LoRAChoice("s", scale: -0.5, textScale: 0), LoRAChoice("t")]
        var net = ControlSettings(net: "c")
        (net.image, net.scale, net.range) = ("ci", 0.5, StepRange(start: 0, end: 0.5))
        (net.preprocessing, net.mode, net.background) = (.canny, .guess, .canny)
        expected.controls = [net]
        var adapter = T2IAdapterSettings(adapter: "ta")
        (adapter.image, adapter.scale, adapter.range) = ("ti", -0.5, StepRange(start: 0.25, end: 1))
        adapter.preprocessing = .tile
        expected.t2iAdapters = [adapter]
        var shown = IPAdapterSettings(adapter: "pa", image: "pi")
        (shown.scale, shown.fit) = (0.25, .squash)
        (expected.ipAdapters, expected.imageEncoder) = ([shown], "ie")
        (expected.area, expected.areaPadding, expected.areaEach) = (.mask, AreaPadding(rawValue: "7%"), true)
        expected.setQuality(80)
        (expected.initialLatent, expected.pastesKeptPixels, expected.feather) = ("l", false, 1)
        expected.method.algorithm = .inpaint
        (expected.maskGrowth, expected.maskBlur) = (-3, 6)
        expected.method.adopt(.paper)
        // The preset counts first, wherever it stands.
        (expected.method.steps, expected.method.guidanceScale, expected.method.coherence) = (7, 1.5, 0)
        (expected.method.optimizeEvery, expected.method.gradientSteps) = (3, 4)
        (expected.method.learningRate, expected.method.warmupLearningRate) = (0.01, 0.5)
        (expected.method.momentum, expected.method.lambda, expected.method.lambdaArea) = (0.25, 8, .linear)
        (expected.method.crossAttentionMask, expected.method.selfAttentionMask) = (false, false)
        (expected.method.maskDownsample, expected.method.seed) = (.max, .max)
        (expected.computation.elementType, expected.computation.backend) = (.bfloat16, .openBLAS)
        let (settings, outputs) = draft.finished()
        #expect(settings == expected)
        #expect((outputs.picture, outputs.count, outputs.recordsPaths) == ("o", 2, false))
        #expect([outputs.comparison, outputs.preview, outputs.dump] == ["c", "v", "d"])
        let keys = BatchKey.all.map(\.name)
        #expect(Set(keys).count == keys.count)
        for key in keys { #expect(line.contains("\"\(key)\"")) }
    }
}
