package stats_test

import (
	"math"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// ulps is the distance of two floats in units in the last place of want.
func ulps(got, want float64) float64 {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return 0
	}
	unit := math.Abs(math.Nextafter(want, math.Inf(1)) - want)
	return math.Abs(got-want) / unit
}

func TestExpLog(t *testing.T) {
	source := stats.NewSource(1, 0)
	draw := func() float64 { return float64(source.Uint64()>>11) / (1 << 53) }
	worst := map[string]float64{}
	check := func(name string, x, got, want, limit float64) {
		d := ulps(got, want)
		worst[name] = max(worst[name], d)
		if !(d <= limit) {
			t.Errorf("%s(%v) = %v, want %v", name, x, got, want)
		}
	}
	for range 200_000 {
		x := 1400 * (draw() - 0.5)
		check("exp", x, stats.Exp(x), math.Exp(x), 2)
		x = 4 * (draw() - 0.5)
		check("exp near 0", x, stats.Exp(x), math.Exp(x), 2)
		x = math.Float64frombits(source.Uint64() >> 1)
		if x >= 0x1p-1022 && x <= math.MaxFloat64 { // below, math.Log itself is wrong on amd64
			check("log", x, stats.Log(x), math.Log(x), 2)
		}
		x = 0.5 + 1.5*draw()
		check("log near 1", x, stats.Log(x), math.Log(x), 2)
	}
	t.Logf("largest distance in units in the last place: %v", worst)
	for _, x := range []float64{0, math.Copysign(0, -1), 1e-300, 709.79, -745.14, math.Inf(1), math.Inf(-1), math.NaN(), 1e300, -1e300} {
		check("exp at", x, stats.Exp(x), math.Exp(x), 1)
	}
	for _, x := range []float64{0, 1, math.Inf(1), math.NaN(), -1, 0x1p-1022, math.MaxFloat64, math.Nextafter(1, 0), math.Nextafter(1, 2)} {
		check("log at", x, stats.Log(x), math.Log(x), 1)
	}
	for x, want := range map[float64]float64{709.78: 1.7928227943945156209e+308, -740: 4.1887398800480489395e-322, -708.5: 2.0061323053313058204e-308} {
		check("exp near the ends", x, stats.Exp(x), want, 1)
	}
	for x, want := range map[float64]float64{5e-324: -744.44007192138126231, 2e-308: -708.50306146160612546, 7.5e-310: -711.78647580761189705} { // from mpmath
		check("log of subnormal", x, stats.Log(x), want, 1)
	}
}

func TestNormalQuantile(t *testing.T) {
	for _, c := range []struct{ p, want float64 }{ // from mpmath with 50 digits
		{1e-300, -37.047096299361199237},
		{1e-100, -21.273453560965324294},
		{1e-20, -9.2623400897984075796},
		{1e-10, -6.3613409024040561991},
		{1e-05, -4.2648907939228246102},
		{0.0005, -3.2905267314918947874},
		{0.025, -1.9599639845400542118},
		{0.0475, -1.6695925772881871941},
		{0.05, -1.644853626951472688},
		{0.0749, -1.4402382675279636631},
		{0.0751, -1.4388253927525399824},
		{0.1, -1.2815515655446004353},
		{0.3, -0.52440051270804081597},
		{0.45, -0.12566134685507400616},
		{0.6, 0.25334710313579974132},
		{0.9249, 1.4388253927525403742},
		{0.9251, 1.4402382675279638594},
		{0.975, 1.9599639845400538556},
		{0.99, 2.3263478740408407676},
		{0.999, 3.0902323061678132778},
	} {
		got := stats.NormalQuantile(c.p)
		if math.Abs(got-c.want) > 2e-15*math.Abs(c.want) {
			t.Errorf("NormalQuantile(%v) = %.17g, want %.17g", c.p, got, c.want)
		}
	}
	if stats.NormalQuantile(0.5) != 0 || !math.IsInf(stats.NormalQuantile(0), -1) || !math.IsInf(stats.NormalQuantile(1), 1) {
		t.Error("the middle or an end is wrong")
	}
	for _, p := range []float64{-0.1, 1.1, math.NaN()} {
		if !math.IsNaN(stats.NormalQuantile(p)) {
			t.Errorf("NormalQuantile(%v) is a number", p)
		}
	}
	last := math.Inf(-1)
	for i := 1; i < 4000; i++ { // no step backwards where two approximations meet
		x := stats.NormalQuantile(float64(i) / 4000)
		if x <= last {
			t.Fatalf("not increasing at %v", float64(i)/4000)
		}
		last = x
	}
	near(t, "critical", stats.Critical(0.95), 1.959963984540054, 1e-14)
	near(t, "critical", stats.Critical(0.99), 2.5758293035489004, 1e-14)
}

func TestNormalCDF(t *testing.T) {
	for _, c := range []struct{ x, want float64 }{ // from mpmath with 50 digits
		{-38, 2.8854283600687843084e-316},
		{-30.3, 5.7317235033154952943e-202},
		{-20.123, 2.3206270500172248792e-90},
		{-10, 7.619853024160526066e-24},
		{-8.5, 9.4795348222033183542e-18},
		{-5.25, 7.6049605164887142511e-8},
		{-3.3, 0.0004834241423837775071},
		{-2.5, 0.006209665325776135167},
		{-2.0000001, 0.022750126549083104627},
		{-2, 0.0227501319481792072},
		{-1.999, 0.022804176932658882735},
		{-1.3, 0.096800484585610325542},
		{-0.7, 0.24196365222307302862},
		{-0.1, 0.46017216272297101633},
		{-1e-5, 0.49999601057719605216},
		{0, 0.5},
		{1e-300, 0.5},
		{0.3, 0.61791142218895263307},
		{0.9, 0.81593987465324051735},
		{1.7, 0.95543453724145695634},
		{2, 0.9772498680518207928},
		{2.1, 0.98213557943718344712},
		{4, 0.99996832875816688008},
		{6.5, 0.99999999995983999416},
		{8.3, 0.99999999999999994794},
	} {
		if got := stats.NormalCDF(c.x); math.Abs(got-c.want) > 1e-14*c.want {
			t.Errorf("NormalCDF(%v) = %.17g, want %.17g", c.x, got, c.want)
		}
	}
	for i := 1; i < 4000; i++ {
		p := float64(i) / 4000
		if got := stats.NormalCDF(stats.NormalQuantile(p)); math.Abs(got-p) > 1e-14*p {
			t.Errorf("NormalCDF(NormalQuantile(%v)) = %v", p, got)
		}
	}
	if stats.NormalCDF(math.Inf(-1)) != 0 || stats.NormalCDF(math.Inf(1)) != 1 || !math.IsNaN(stats.NormalCDF(math.NaN())) {
		t.Error("an end is wrong")
	}
}
