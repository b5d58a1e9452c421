import Foundation
import ImageFiles
import TestSupport
import Testing

/// ControlNets on the command line: what is recorded, repeated, refused; and maps by themselves.
@Suite struct ControlCommandTests {
    private static let net = "\(PilotRunner.controls)/sd1"

    private func job(_ runner: PilotRunner, _ more: [String] = []) -> [String] {
        runner.job + ["--control-preprocess", "canny"] + more
    }

    private func settings(_ runner: PilotRunner, _ name: String) throws -> [String: Any] {
        let chunks = try DecodedImage.read(runner.path(name)).textChunks
        let text = try #require(chunks.first { $0.keyword == "pilot" }?.text)
        let record = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        return try #require(record["settings"] as? [String: Any])
    }

    @Test func aJobIsRepeatedWithItsNetsAndMaps() async throws {
        let runner = try PilotRunner()
        let net = runner.path("net")
        try FileManager.default.copyContents(atPath: Self.net, toPath: net)
        try runner.write(runner.contents("image.png"), to: "map.png")
        let first = try await runner.inpaint(
            job(runner, ["--control", net, "--control-image", runner.path("map.png"), "--control-scale", "0.5"])
                + ["--output", runner.path("a.png")])
        #expect(first.exitCode == 0, "\(first.errors)")
        let again = ["--from", runner.path("a.png"), "--output"]
        let second = try await runner.inpaint(again + [runner.path("b.png")])
        #expect(second.exitCode == 0, "\(second.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))
        // An option beside the record changes its net.
        let weaker = try await runner.inpaint(again + [runner.path("c.png"), "--control-scale", "0.1"])
        #expect(weaker.exitCode == 0, "\(weaker.errors)")
        #expect(try runner.contents("a.png") != runner.contents("c.png"))

        try runner.write(runner.contents("mask.png"), to: "map.png")
        let map = try await runner.inpaint(again + [runner.path("d.png")])
        #expect(map.exitCode == 65 && map.errors.contains("map.png: has changed"), "\(map.errors)")
        try runner.write(runner.contents("image.png"), to: "map.png")
        var weights = try runner.contents("net/diffusion_pytorch_model.safetensors")
        weights[weights.count - 1] ^= 1
        try runner.write(weights, to: "net/diffusion_pytorch_model.safetensors")
        let changed = try await runner.inpaint(again + [runner.path("d.png")])
        #expect(changed.exitCode == 65 && changed.errors.contains("--control \(net)"), "\(changed.errors)")
    }

    @Test func thePapersLearningRateIsTheDefaultWithANet() async throws {
        let runner = try PilotRunner()
        for (options, expected) in [
            (["--control", Self.net], 0.05), ([], 0.03), (["--control", Self.net, "--learning-rate", "0.03"], 0.03),
        ] {
            let name = "\(UUID().uuidString).png"
            let result = try await runner.inpaint(runner.job + options + ["--output", runner.path(name)])
            #expect(result.exitCode == 0, "\(result.errors)")
            let method = try #require(try settings(runner, name)["method"] as? [String: Any])
            #expect(method["learningRate"] as? Double == expected)
        }
    }

    @Test func aBatchsLinesHaveMapsOfTheirOwn() async throws {
        let runner = try PilotRunner()
        try runner.write(
            """
            {"prompt": "fox", "output": "a.png", "control": [{"control_image": "\(runner.path("mask.png"))"}]}
            {"prompt": "fox", "output": "b.png", "control": [{"control_scale": 0.5, "control_range": "0:0.9"}]}
            {"prompt": "fox", "output": "c.png"}
            """, to: "jobs.jsonl")
        let command = [
            "batch", runner.path("jobs.jsonl"), "--output", runner.path("out"), "--control", Self.net,
            "--control-preprocess", "canny",
        ]
        let batch = try await runner.run(command + runner.job, ranks: 2)
        #expect(batch.exitCode == 0 && batch.output.contains("3 done"), "\(batch.errors)")
        let rerun = try await runner.run(command + runner.job)
        #expect(rerun.exitCode == 0 && rerun.output.contains("3 present"), "\(rerun.errors)")
        for (name, options) in [
            ("a.png", ["--control-image", runner.path("mask.png")]),
            ("b.png", ["--control-scale", "0.5", "--control-range", "0:0.9"]), ("c.png", []),
        ] {
            let alone = try await runner.inpaint(
                job(runner, ["--control", Self.net] + options) + ["--prompt", "fox", "--output", runner.path(name)])
            #expect(alone.exitCode == 0, "\(alone.errors)")
            #expect(try runner.contents(name) == runner.contents("out/\(name)"), "\(name)")
        }
    }

    @Test(
        arguments: [
            (#"[{"control": "\#(PilotRunner.controls)/sd1-pooled"}]"#, "one of ControlNets"),
            (#"[{"control_size": 3}]"#, "control[0].control_size"), (#"{"control": "x"}"#, "control: expected a list"),
            (#"[{"control_range": "0.5"}]"#, "control[0].control_range"), (#"[7]"#, "control[0]"),
            (#"[{"control_mode": "loud"}]"#, "\"balanced\" or \"guess\""), ("[]", "one of ControlNets"),
        ])
    func wrongLinesAreNamed(value: String, mention: String) async throws {
        let runner = try PilotRunner()
        try runner.write(#"{"prompt": "fox", "output": "a.png", "control": \#(value)}"#, to: "jobs.jsonl")
        let result = try await runner.run(
            ["batch", runner.path("jobs.jsonl"), "--output", runner.path("out"), "--control", Self.net] + runner.job)
        #expect(result.exitCode == 65, "\(result.errors)")
        #expect(result.errors.contains("line 1") && result.errors.contains(mention), "\(result.errors)")
    }

    @Test func aMapAloneIsTheOneThatANetSees() async throws {
        let runner = try PilotRunner()
        let made = try await runner.run(
            ["control", runner.path("image.png"), "--preprocess", "canny", "--output", runner.path("map.png")])
        #expect(made.exitCode == 0, "\(made.errors)")
        let job = try await runner.inpaint(
            self.job(runner, ["--control", Self.net, "--preview", runner.path("previews")])
                + ["--output", runner.path("a.png")])
        #expect(job.exitCode == 0, "\(job.errors)")
        #expect(
            try DecodedImage.read(runner.path("previews/step-000-control-1.png")).rgb
                == DecodedImage.read(runner.path("map.png")).rgb)
        let again = try await runner.run(
            ["control", runner.path("image.png"), "--preprocess", "invert", "--output", runner.path("map.png")])
        #expect(again.exitCode == 64 && again.errors.contains("--overwrite"), "\(again.errors)")
        let named = try await runner.run(
            ["control", runner.path("image.png"), "--preprocess", "invert", "--output", runner.path("map.webp")])
        #expect(named.exitCode == 64 && named.errors.contains("maps are PNG files"), "\(named.errors)")
    }

    @Test func whatANetCanDoLittleWithIsSaid() async throws {
        let runner = try PilotRunner()
        let photograph = try DecodedImage.read(runner.path("image.png"))
        let (width, height) = (photograph.width, photograph.height)
        let black = RGBImage(width: width, height: height, bytes: [UInt8](repeating: 0, count: 3 * width * height))
        try black.writePNG(to: runner.path("black.png"), metadata: PictureMetadata())
        var paper = [UInt8](repeating: 255, count: 3 * 32 * 32)
        for byte in 3 * 32 * 10..<3 * 32 * 11 { paper[byte] = 0 }
        try RGBImage(width: 32, height: 32, bytes: paper).writePNG(
            to: runner.path("ink.png"), metadata: PictureMetadata())
        for (map, mention) in [("black.png", "all black"), ("ink.png", "ink on paper"), ("ink.png", "aspect")] {
            let result = try await runner.inpaint(
                runner.job + ["--control", Self.net, "--control-image", runner.path(map), "--overwrite"]
                    + ["--output", runner.path("a.png")])
            #expect(result.exitCode == 0, "\(result.errors)")
            #expect(result.errors.contains(mention), "\(map): \(result.errors)")
        }
    }
}
